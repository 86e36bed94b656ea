//! The same octets to this crate and to two others: what each of them receives, and whether and where it fails.

mod difference;
mod peers;
mod walk;

use sansocket::connection::{Connection, Event, KeySource, TransportPhase};
use sansocket::frame::MaskingKey;
use sansocket::{CloseCode, Config, Failure, Limits, ProtocolError, Role};

pub use difference::Difference;
use peers::Wire;
use walk::Walk;

use crate::{Input, frames_of};

/// What this crate is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Tungstenite,
    Fastwebsockets,
}

/// What one end received, and how that ended.
#[derive(Debug, PartialEq)]
struct Seen {
    events: Vec<At<Received>>,
    end: End,
    /// The payloads of the Pongs it sent, if it sends them by itself.
    pongs: Option<Vec<Vec<u8>>>,
}

/// After how many octets of the wire it was there.
#[derive(Debug, Clone, PartialEq)]
struct At<T> {
    octets: usize,
    what: T,
}

#[derive(Debug, Clone, PartialEq)]
enum Received {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, Vec<u8>),
}

#[derive(Debug, PartialEq)]
enum End {
    /// The stream ended in between.
    Cut,
    /// A Close was received.
    Closed,
    /// It failed the connection, this crate for the reason given.
    Failed(At<Option<ProtocolError>>),
}

/// Gives the octets to all of them, and returns the difference to each that README.md lists.
///
/// # Panics
///
/// On any other difference.
#[must_use]
pub fn differences(octets: &[u8]) -> [(Peer, Option<Difference>); 2] {
    let mut input = Input::new(octets);
    let [flags, limits] = input.array();
    let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
    let limits = Limits::default()
        .max_message_len(LENGTHS[usize::from(limits & 15) % LENGTHS.len()])
        .max_frame_len(LENGTHS[usize::from(limits >> 4) % LENGTHS.len()]);
    let wire = frames_of(role, flags & 2 != 0, &mut input);
    let walk = Walk::new(&wire);
    let case = Case { role, limits, wire: &wire, walk: &walk };

    let ours = case.ours();
    [Peer::Tungstenite, Peer::Fastwebsockets].map(|peer| {
        let theirs = match peer {
            Peer::Tungstenite => peers::tungstenite(&case),
            Peer::Fastwebsockets => peers::fastwebsockets(&case),
        };
        let difference = case.compare(peer, &ours, &theirs).unwrap_or_else(|unlike| {
            panic!(
                "{unlike}\n{peer:?}, this is the {role:?} {limits:?}\n{wire:02x?}\n{walk:?}\n{ours:?}\n{theirs:?}"
            )
        });
        (peer, difference)
    })
}

/// What all of them are given.
struct Case<'a> {
    role: Role,
    limits: Limits,
    wire: &'a [u8],
    walk: &'a Walk,
}

impl Case<'_> {
    fn ours(&self) -> Seen {
        let config = Config::default().limits(self.limits);
        let mut connection = match self.role {
            Role::Server => Connection::server(&config),
            Role::Client => Connection::client(&config, KeySource::injected(|| MaskingKey::new([0; 4]))),
        };
        let mut wire = Wire::new(self);
        let (mut unread, mut output, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let mut failed = None;
        while let Some(piece) = wire.read(usize::MAX) {
            unread.extend_from_slice(piece);
            loop {
                let received = match connection.receive(&mut unread) {
                    Ok(received) => received,
                    Err(Failure::Protocol(error)) => {
                        failed = Some(At { octets: wire.octets(), what: Some(error) });
                        break;
                    }
                    Err(failure) => panic!("{failure:?}"),
                };
                if let Some(located) = received.event {
                    let what = Received::from(connection.event(located, &unread));
                    events.push(At { octets: wire.octets(), what });
                }
                unread.drain(..received.consumed);
                if received.event.is_none() {
                    break;
                }
            }
            loop {
                let mut slices = [&[][..]; 1];
                connection.slices(&mut slices);
                let len = slices[0].len();
                if len == 0 {
                    break;
                }
                output.extend_from_slice(slices[0]);
                connection.advance(len);
            }
            if connection.phase() != TransportPhase::ReadWrite {
                break;
            }
        }
        let end = match (failed, events.last()) {
            (Some(failed), _) => End::Failed(failed),
            (None, Some(At { what: Received::Close(..), .. })) => End::Closed,
            (None, _) => End::Cut,
        };
        Seen { events, end, pongs: Some(peers::pongs(self.role, &output)) }
    }

    /// `None` if they say the same; an error if they differ as they must not.
    fn compare(&self, peer: Peer, ours: &Seen, theirs: &Seen) -> Result<Option<Difference>, &'static str> {
        let (our_frame, their_frame) = (self.failed_frame(ours), self.failed_frame(theirs));
        let first = [our_frame, their_frame].into_iter().flatten().min();
        // What was received before the first frame in which one of them failed, or in all.
        let before = |seen: &Seen| -> Vec<At<Received>> {
            let until = first.map_or(usize::MAX, |frame| self.walk.frames[frame].start);
            seen.events.iter().filter(|event| event.octets <= until).cloned().collect()
        };
        if before(ours) != before(theirs) {
            return Difference::of_answered_close(peer, &ours.events, &theirs.events)
                .map(Some)
                .ok_or("something else was received");
        }
        match (&ours.end, &theirs.end) {
            (End::Failed(ours), End::Failed(theirs)) if our_frame == their_frame => {
                if ours.octets <= theirs.octets {
                    return Ok(None);
                }
                self.of_their_refusal(first).map(Some).ok_or("the other one knew it earlier")
            }
            (End::Failed(At { what: Some(error), .. }), _) if our_frame == first => {
                Difference::of_our_refusal(peer, *error, &self.walk.frames[first.unwrap_or(0)], theirs)
                    .map(Some)
                    .ok_or("only this crate fails")
            }
            (_, End::Failed(_)) => self.of_their_refusal(first).map(Some).ok_or("only the other one fails"),
            _ if ours.end != theirs.end => Err("another end"),
            _ if theirs.pongs.is_some() && ours.pongs != theirs.pongs => Err("other Pongs"),
            _ => Ok(None),
        }
    }

    fn of_their_refusal(&self, frame: Option<usize>) -> Option<Difference> {
        Difference::of_their_refusal(&self.walk.frames[frame?], self.wire, &self.limits)
    }

    fn failed_frame(&self, seen: &Seen) -> Option<usize> {
        match &seen.end {
            End::Failed(at) => Some(self.walk.frame_of(at.octets)),
            End::Cut | End::Closed => None,
        }
    }
}

impl From<Event<'_>> for Received {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(payload) => Self::Binary(payload.into()),
            Event::Ping(payload) => Self::Ping(payload.into()),
            Event::Pong(payload) => Self::Pong(payload.into()),
            Event::Close(close) => Self::Close(close.code().map(CloseCode::get), close.reason().into()),
        }
    }
}

/// None that is so large that the other ones' buffers would take all the time.
const LENGTHS: [usize; 9] = [128 << 10, 65536, 65535, 1000, 126, 125, 16, 1, 0];
