//! What stopped a run: one sentence for the person at the terminal, with the step that failed in front.

use std::fmt;

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A message that says what failed and, where there is something to do, what to do.
#[derive(Debug)]
pub(crate) struct Error {
    message: String,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::new(format!("{error} (see --help)"))
    }
}

/// Puts what was attempted in front of the reason why it failed.
pub(crate) trait Context<T> {
    fn context(self, attempt: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, attempt: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|reason| Error::new(format!("{}: {reason}", attempt())))
    }
}
