//! Which side of a connection is under test.

/// The side that sansocket takes; the suite takes the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

impl Role {
    /// The name of the program under test, and of its line in the summary.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Server => "autobahn-server",
            Self::Client => "autobahn-client",
        }
    }

    /// The option that names another program to test.
    pub(crate) fn program_option(self) -> &'static str {
        match self {
            Self::Server => "--server-program",
            Self::Client => "--client-program",
        }
    }

    /// The folder of this role's files.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    /// The suite's mode: it is the other side.
    pub(crate) fn suite_mode(self) -> &'static str {
        match self {
            Self::Server => "fuzzingclient",
            Self::Client => "fuzzingserver",
        }
    }
}
