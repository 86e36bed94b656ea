//! The parameters of permessage-deflate: offered, answered and agreed on, RFC 7692 §5, §7.1.

use super::error::HandshakeError;
use super::extension::Extension;
use crate::deflate::{Agreement, DeflateConfig, Direction};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::mem::replace;
use core::{fmt, iter};

/// The one offer that a server accepts: RFC 7692 §5.
///
/// No other extension stands beside it, so none can use RSV1 too, or care for the boundaries of the fragments that
/// compression moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AcceptedOffer {
    /// The element of the response that says so.
    pub(super) element: String,
    pub(super) agreement: Agreement,
}

/// What a server answers to the extensions of a request, in the client's order; `None` when it declines them all.
pub(super) fn accept(offered: &[Extension<'_>], config: &DeflateConfig) -> Option<AcceptedOffer> {
    // RFC 7692 §5: the first offer that can be accepted; the client put first what it likes best.
    let answer = offered
        .iter()
        .filter(|extension| extension.name() == NAME)
        .filter_map(Parameters::parse)
        .find_map(|offer| offer.answer(config))?;
    Some(AcceptedOffer { element: answer.to_string(), agreement: answer.agreement(config) })
}

/// What a client offers: elements in its order of preference.
pub(super) fn offer(config: &DeflateConfig) -> String {
    offers(config).map(|offer| offer.to_string()).collect::<Vec<_>>().join(", ")
}

/// What the extensions of a response agree to, when `offered` was offered.
pub(super) fn agree(
    answered: &[Extension<'_>],
    offered: Option<&DeflateConfig>,
) -> Result<Option<Agreement>, HandshakeError> {
    match (answered, offered) {
        ([], _) => Ok(None),
        ([answer], Some(config)) if answer.name() == NAME => {
            // RFC 7692 §5: some servers answer the same to whatever is offered, so any of the offers may be meant.
            let mut answer = Parameters::parse(answer)
                .filter(|answer| offers(config).any(|offer| answer.fits(&offer)))
                .ok_or(HandshakeError::ExtensionParameters)?;
            // RFC 7692 §7.1.1.2: who has hinted keeps to it, whether or not the answer says so.
            answer.client_no_context_takeover |= !config.send_context_takeover;
            Ok(Some(answer.agreement(config)))
        }
        // RFC 7692 §5: two of them would both use RSV1.
        (all, Some(_)) if all.iter().all(|extension| extension.name() == NAME) => {
            Err(HandshakeError::DuplicateExtension)
        }
        _ => Err(HandshakeError::ExtensionNotOffered),
    }
}

/// The elements that a client offers: what it wants, and what any server can accept.
fn offers(config: &DeflateConfig) -> impl Iterator<Item = Parameters> {
    let plain = Parameters { client_window: ClientWindow::Named, ..Parameters::default() };
    let wanted = Parameters {
        server_no_context_takeover: !config.receive_context_takeover,
        client_no_context_takeover: !config.send_context_takeover,
        server_max_window_bits: Some(config.receive_window_bits).filter(|&bits| bits < LARGEST_WINDOW),
        ..plain
    };
    iter::once(wanted).chain((config.fallback_offer && wanted != plain).then_some(plain))
}

/// The parameters of one element, in an offer or in an answer: RFC 7692 §7.1. Windows are powers of two, 8 to 15.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_window: ClientWindow,
}

/// `client_max_window_bits`, the one parameter that may stand without its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ClientWindow {
    /// Not there.
    #[default]
    Unnamed,
    /// There without a value, in an offer: the client can be told a limit.
    Named,
    /// There with a value.
    Limited(u8),
}

impl ClientWindow {
    const fn bits(self) -> u8 {
        match self {
            Self::Unnamed | Self::Named => LARGEST_WINDOW,
            Self::Limited(bits) => bits,
        }
    }
}

impl Parameters {
    /// `None` for a parameter that is unknown, stands there twice, or has a value that it must not have (RFC 7692 §7).
    fn parse(element: &Extension<'_>) -> Option<Self> {
        let mut parsed = Self::default();
        for (name, value) in element.parameters() {
            let is_new = match (name, value) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => !replace(&mut parsed.server_no_context_takeover, true),
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => !replace(&mut parsed.client_no_context_takeover, true),
                (SERVER_MAX_WINDOW_BITS, Some(value)) => {
                    parsed.server_max_window_bits.replace(window_bits(value)?).is_none()
                }
                (CLIENT_MAX_WINDOW_BITS, value) => {
                    let window = match value {
                        Some(value) => ClientWindow::Limited(window_bits(value)?),
                        None => ClientWindow::Named,
                    };
                    replace(&mut parsed.client_window, window) == ClientWindow::Unnamed
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(parsed)
    }

    /// The server's answer to this offer; `None` to decline it.
    fn answer(&self, config: &DeflateConfig) -> Option<Self> {
        // RFC 7692 §7.1.2.1: whoever accepts a limit keeps to it, and zlib cannot compress with this one.
        if self.server_max_window_bits == Some(SMALLEST_WINDOW) {
            return None;
        }
        // RFC 7692 §7.1.2.2: a client that has not named the parameter must not be told a limit.
        let client_window = match self.client_window.bits().min(config.receive_window_bits) {
            bits if bits < LARGEST_WINDOW && self.client_window != ClientWindow::Unnamed => {
                ClientWindow::Limited(bits)
            }
            _ => ClientWindow::Unnamed,
        };
        // RFC 7692 §7.1.1.2: repeated, the hint binds, and then nothing is kept of what the client sends.
        let client_no_context_takeover =
            self.client_no_context_takeover || (config.answer_unasked && !config.receive_context_takeover);
        // RFC 7692 §7.1.1.1, §7.1.2.1: what limits the server may be said unasked, but some clients then fail the
        // connection, and need not know.
        let server_no_context_takeover = self.server_no_context_takeover;
        let server_max_window_bits =
            self.server_max_window_bits.map(|offered| offered.min(config.send_window_bits));
        Some(Self {
            server_no_context_takeover,
            client_no_context_takeover,
            server_max_window_bits,
            client_window,
        })
    }

    /// Whether a server may answer these to `offer`.
    fn fits(&self, offer: &Self) -> bool {
        // RFC 7692 §7.1.1.1: asked for, it is repeated.
        let server_takeover = self.server_no_context_takeover || !offer.server_no_context_takeover;
        // RFC 7692 §7.1.2.1: no larger than asked for; what is not named is the largest.
        let server_window = self.server_max_window_bits.unwrap_or(LARGEST_WINDOW)
            <= offer.server_max_window_bits.unwrap_or(LARGEST_WINDOW);
        // RFC 7692 §7.1.2.2: only if it was named, with a value, and no larger than the client's own.
        let client_window = match self.client_window {
            ClientWindow::Unnamed => true,
            ClientWindow::Named => false,
            ClientWindow::Limited(bits) => {
                offer.client_window != ClientWindow::Unnamed && bits <= offer.client_window.bits()
            }
        };
        server_takeover && server_window && client_window
    }

    /// What this answer means. RFC 7692 §7.1: only the answer counts, not what was offered.
    fn agreement(&self, config: &DeflateConfig) -> Agreement {
        let server = Direction {
            max_window_bits: self.server_max_window_bits.unwrap_or(LARGEST_WINDOW),
            context_takeover: !self.server_no_context_takeover,
        };
        let client = Direction {
            max_window_bits: self.client_window.bits(),
            context_takeover: !self.client_no_context_takeover,
        };
        Agreement::new(*config).with_server(server).with_client(client)
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_NO_CONTEXT_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_NO_CONTEXT_TAKEOVER}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; {SERVER_MAX_WINDOW_BITS}={bits}")?;
        }
        match self.client_window {
            ClientWindow::Unnamed => Ok(()),
            ClientWindow::Named => write!(f, "; {CLIENT_MAX_WINDOW_BITS}"),
            ClientWindow::Limited(bits) => write!(f, "; {CLIENT_MAX_WINDOW_BITS}={bits}"),
        }
    }
}

/// RFC 7692 §7.1.2: a decimal number from 8 to 15 without leading zeros.
fn window_bits(value: &str) -> Option<u8> {
    match value.as_bytes() {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

// RFC 7692 §9, §7.1: registered in lower case, and compared as they are.
const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The smallest window that a parameter can name.
const SMALLEST_WINDOW: u8 = 8;
/// The largest, which is the one that holds when no parameter says otherwise.
const LARGEST_WINDOW: u8 = Direction::UNLIMITED.max_window_bits;

#[cfg(test)]
mod tests;
