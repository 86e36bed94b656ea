//! What each connection does, and what goes wrong with it: all drawn from the seed and the connection's number.

use std::time::Duration;

use sansocket::Role;

/// Numbers that look random, the same for the same seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A sequence of its own for each combination of these.
    pub(crate) fn new(parts: &[u64]) -> Self {
        let mut random = Self(0);
        for part in parts {
            random.0 ^= part;
            random.0 = random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    /// Small numbers as often as large ones.
    fn up_to_a_power(&mut self, least: u64, powers: u64) -> u64 {
        let power = least + self.below(powers);
        self.below(1 << power)
    }

    fn role(&mut self) -> Role {
        if self.percent(50) { Role::Client } else { Role::Server }
    }
}

/// By which methods an end receives and sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Lending,
    Owned,
    StreamAndSink,
    Split,
    /// The same beside a driver.
    Driven,
    /// Those of the layer over `std::io`: a client's, on a thread.
    Blocking,
}

impl Face {
    /// Whether it receives while it sends, whatever is queued.
    pub(crate) fn is_split(self) -> bool {
        matches!(self, Face::Split | Face::Driven)
    }
}

/// Who sends messages of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// The client; the server sends each back.
    Echo,
    /// Both, each for itself.
    Push,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// With the transport of the end of this role, once so many octets have passed over it.
    Wire(Role, WireFault, u64),
    /// The end of this role goes once it has dealt with so many messages.
    Leave(Role, Leave, u64),
    /// The end of this role is not this library, and misbehaves after so many good messages.
    Raw(Role, Misdeed, u64),
    /// The opening handshake never comes to its end.
    Handshake(BrokenHandshake),
}

impl Fault {
    /// The row of the summary that it belongs to.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Wire(_, fault, _) => fault.name(),
            Self::Leave(_, Leave::Close, _) => "close in the middle",
            Self::Leave(_, Leave::Drop, _) => "dropped in the middle",
            Self::Leave(_, Leave::Abort, _) => "aborted in the middle",
            Self::Raw(_, Misdeed::Wrong(wrong), _) => wrong.name(),
            Self::Raw(_, Misdeed::CutAndGarbage, _) => "garbage in a frame without end",
            Self::Raw(_, Misdeed::NeverAnswersClose, _) => "never answers Close",
            Self::Raw(_, Misdeed::NeverReads, _) => "never reads",
            Self::Handshake(_) => "broken handshake",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireFault {
    /// TCP reset.
    Reset,
    /// The transport ends, without a Close frame.
    End,
    /// Nothing is read any more, and nothing is written; nobody is told.
    HalfOpen,
    /// As half-open, for a while. Not a fault that anybody may notice.
    Stall(Duration),
}

impl WireFault {
    fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::End => "end without Close",
            Self::HalfOpen => "half-open",
            Self::Stall(_) => "stall",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Begins to close, whatever is under way.
    Close,
    /// Drops the WebSocket.
    Drop,
    /// Aborts.
    Abort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misdeed {
    /// A frame that breaks the protocol.
    Wrong(Wrong),
    /// The beginning of a frame, then octets of chance, then a reset.
    CutAndGarbage,
    NeverAnswersClose,
    NeverReads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Octets of chance with a reserved bit.
    Garbage,
    /// Masked by a server, or not masked by a client.
    Masking,
    Opcode,
    FragmentedPing,
    Continuation,
    Utf8,
    CloseCode,
    Length,
}

impl Wrong {
    const ALL: [Self; 8] = [
        Self::Garbage,
        Self::Masking,
        Self::Opcode,
        Self::FragmentedPing,
        Self::Continuation,
        Self::Utf8,
        Self::CloseCode,
        Self::Length,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::Masking => "masked wrongly",
            Self::Utf8 => "text that is not UTF-8",
            _ => "wrong frame",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokenHandshake {
    Garbage,
    Cut,
    Reset,
    Silence,
}

/// What one connection does.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) id: u64,
    pub(crate) seed: u64,
    pub(crate) fault: Fault,
    pub(crate) traffic: Traffic,
    pub(crate) faces: [Face; 2],
    pub(crate) closer: Role,
    pub(crate) deflate: bool,
    /// How long fragments are that the client sends.
    pub(crate) fragment_len: Option<usize>,
    /// How many messages each end sends of its own.
    pub(crate) messages: [u64; 2],
    /// How many of its messages an end waits between, at most, in milliseconds.
    pub(crate) pause: [u64; 2],
    /// How long an end takes for a message, sometimes: a slow reader.
    pub(crate) slow: [Option<Duration>; 2],
    /// Whether the closing end throws away what still comes.
    pub(crate) throws_away: bool,
}

impl Plan {
    pub(crate) fn new(seed: u64, id: u64) -> Self {
        let mut random = Random::new(&[seed, id]);
        let fault = fault(&mut random);
        let raw = match fault {
            Fault::Raw(role, ..) => Some(role),
            _ => None,
        };
        // A peer without the library sends nothing back.
        let traffic =
            if random.percent(55) && raw != Some(Role::Server) { Traffic::Echo } else { Traffic::Push };
        let faces = [(); 2].map(|()| match random.below(5) {
            0 => Face::Lending,
            1 => Face::Owned,
            2 => Face::StreamAndSink,
            3 => Face::Split,
            _ => Face::Driven,
        });
        let closer = random.role();
        let mut slow = [(); 2].map(|()| random.percent(20).then(|| random.millis(2, 200)));
        if let Some(role) = raw {
            slow[index(role)] = None;
        }
        Self {
            id,
            seed,
            fault,
            traffic,
            faces,
            closer: raw.map_or(closer, other),
            deflate: random.percent(35) && raw.is_none(),
            fragment_len: random.percent(30).then(|| [125, 1000, 4096, 70_000][random.below(4) as usize]),
            messages: [(); 2].map(|()| 1 + random.up_to_a_power(2, 7)),
            pause: [(); 2].map(|()| [20, 100, 500, 2000][random.below(4) as usize]),
            slow,
            throws_away: random.percent(50),
        }
    }

    /// The same with the blocking layer under the client, if it has the library under it at all.
    pub(crate) fn over_the_blocking_layer(mut self) -> Self {
        if self.raw() == Some(Role::Client) || matches!(self.fault, Fault::Handshake(_)) {
            return self;
        }
        // What happens to a transport happens at the other end of it.
        if let Fault::Wire(role, ..) = &mut self.fault {
            *role = Role::Server;
        }
        self.faces[index(Role::Client)] = Face::Blocking;
        // While a thread writes it reads nothing: who has much to say to it must read meanwhile.
        if self.traffic == Traffic::Push {
            self.faces[index(Role::Server)] = Face::Split;
        }
        self
    }

    /// Whether this end has the library under it.
    pub(crate) fn raw(&self) -> Option<Role> {
        match self.fault {
            Fault::Raw(role, ..) => Some(role),
            _ => None,
        }
    }
}

fn fault(random: &mut Random) -> Fault {
    let role = random.role();
    // From the first octets of a connection to the middle of a long one.
    let octets = random.up_to_a_power(4, 17);
    let messages = random.up_to_a_power(0, 6);
    match random.below(100) {
        0..60 => Fault::None,
        60..66 => Fault::Wire(role, WireFault::Reset, octets),
        66..72 => Fault::Wire(role, WireFault::End, octets),
        72..74 => Fault::Wire(role, WireFault::HalfOpen, octets),
        74..80 => Fault::Wire(role, WireFault::Stall(random.millis(50, 1500)), octets),
        80..87 => Fault::Leave(role, Leave::Close, messages),
        87..89 => Fault::Leave(role, Leave::Drop, messages),
        89..91 => Fault::Leave(role, Leave::Abort, messages),
        91..95 => {
            let wrong = Wrong::ALL[random.below(Wrong::ALL.len() as u64) as usize];
            Fault::Raw(role, Misdeed::Wrong(wrong), messages)
        }
        95 => Fault::Raw(role, Misdeed::CutAndGarbage, messages),
        96 => Fault::Raw(role, Misdeed::NeverAnswersClose, 1 + messages),
        97 => Fault::Raw(role, Misdeed::NeverReads, messages),
        _ => Fault::Handshake(match random.below(10) {
            0..4 => BrokenHandshake::Garbage,
            4..7 => BrokenHandshake::Cut,
            7..9 => BrokenHandshake::Reset,
            _ => BrokenHandshake::Silence,
        }),
    }
}

pub(crate) fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// Where an end has its place in arrays of two.
pub(crate) fn index(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}
