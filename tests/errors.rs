//! What errors say: one line in lower case that names the rule, and never what the peer has sent.

use std::error::Error;

use sansocket::frame::{CloseFrame, InvalidUtf8, ReasonTooLong};
use sansocket::handshake::{
    HandshakeError, InvalidHeader, InvalidOrigin, InvalidSubprotocol, InvalidUri, NotOffered, Refusal,
};
use sansocket::{CloseCode, Failure, ProtocolError, SendError};

const BROKEN: [(ProtocolError, &str); 20] = [
    (ProtocolError::ReservedBits, "reserved bit set that was not negotiated (RFC 6455 section 5.2)"),
    (ProtocolError::UnknownOpcode(11), "unknown opcode 11 (RFC 6455 section 5.2)"),
    (ProtocolError::FragmentedControlFrame, "fragmented control frame (RFC 6455 section 5.5)"),
    (ProtocolError::ControlFrameTooLong, "control frame payload above 125 octets (RFC 6455 section 5.5)"),
    (
        ProtocolError::UnexpectedContinuation,
        "continuation frame without an open message (RFC 6455 section 5.4)",
    ),
    (
        ProtocolError::ExpectedContinuation,
        "new data frame inside a fragmented message (RFC 6455 section 5.4)",
    ),
    (ProtocolError::UnmaskedFrame, "unmasked frame from the client (RFC 6455 section 5.1)"),
    (ProtocolError::MaskedFrame, "masked frame from the server (RFC 6455 section 5.1)"),
    (ProtocolError::LengthNotMinimal, "payload length not in its shortest form (RFC 6455 section 5.2)"),
    (ProtocolError::LengthTopBit, "payload length above 63 bits (RFC 6455 section 5.2)"),
    (ProtocolError::HalfCloseCode, "close frame with half a status code (RFC 6455 section 5.5.1)"),
    (
        ProtocolError::InvalidCloseCode(1005),
        "close frame with invalid status code 1005 (RFC 6455 section 7.4)",
    ),
    (ProtocolError::InvalidCloseReason, "close reason is not valid UTF-8 (RFC 6455 section 8.1)"),
    (ProtocolError::InvalidUtf8, "text message is not valid UTF-8 (RFC 6455 section 8.1)"),
    (ProtocolError::FrameTooBig, "frame above the size limit (RFC 6455 section 10.4)"),
    (ProtocolError::MessageTooBig, "message above the size limit (RFC 6455 section 10.4)"),
    (ProtocolError::TooManyEmptyFragments, "too many empty fragments in a row (RFC 6455 section 10.4)"),
    (ProtocolError::MessageTimeout, "message not finished in time (RFC 6455 section 10.4)"),
    (
        ProtocolError::InvalidCompressedData,
        "compressed message that cannot be decompressed (RFC 7692 section 7.2.2)",
    ),
    (
        ProtocolError::TooManyFinalBlocks,
        "compressed message with too many final blocks (RFC 7692 section 7.2.2)",
    ),
];

fn check(error: &dyn Error, text: &str, source: Option<&str>) {
    assert_eq!(error.to_string(), text);
    assert!(!text.starts_with(char::is_uppercase) || text.starts_with("TLS"), "{text}");
    assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
    assert_eq!(error.source().map(ToString::to_string).as_deref(), source, "of {text}");
}

#[test]
fn what_the_peer_broke_is_said_with_its_section() {
    for (error, text) in BROKEN {
        check(&error, text, None);
        check(&Failure::Protocol(error), text, Some(text));
    }
}

#[cfg(feature = "std")]
#[test]
fn what_is_left_of_a_budget_is_said_to_be_nothing() {
    use sansocket::Role;

    for (role, code) in
        [(Role::Server, CloseCode::TRY_AGAIN_LATER), (Role::Client, CloseCode::MESSAGE_TOO_BIG)]
    {
        let error = ProtocolError::BudgetExhausted(role);
        check(&error, "no memory left in the budget for this connection (RFC 6455 section 10.4)", None);
        assert_eq!(error.close_code(), code);
    }
    check(&SendError::BudgetExhausted, "no memory left in the budget for the message", None);
}

#[test]
fn why_a_connection_ended_is_said() {
    check(&Failure::EndOfStream, "the transport ended without a close frame", None);
    check(&Failure::Transport, "the transport failed", None);
    check(&Failure::CloseTimeout, "the peer did not finish the closing handshake in time", None);
    check(&Failure::DeadPeer, "the peer did not answer a ping in time", None);
    check(&Failure::WriteTimeout, "the peer did not take what was sent in time", None);
}

#[test]
fn what_must_not_be_sent_is_said() {
    for (error, text) in [
        (SendError::SendAfterClose, "data after the close frame"),
        (SendError::Closed, "the connection is closed"),
        (SendError::ControlPayloadTooLong, "control payload above 125 octets"),
        (SendError::ReasonTooLong, "close reason above 123 octets"),
        (SendError::ReasonWithoutCode, "close reason without a status code"),
        (SendError::CodeNotForRole, "status code that this role does not send"),
        (SendError::MessageOpen, "a fragmented message is open"),
        (SendError::WrongFragmentKind, "fragment of another type than its message"),
        (SendError::QueueFull, "too much output is queued"),
    ] {
        check(&error, text, None);
    }
    check(&InvalidUtf8, "text is not valid UTF-8", None);
    check(&ReasonTooLong, "close reason above 123 octets", None);
    assert!(matches!(CloseFrame::new(CloseCode::NORMAL, &"r".repeat(124)), Err(ReasonTooLong)));
    let error = CloseCode::try_from(1006).unwrap_err();
    check(&error, "1006 is no status code that may be sent", None);
    assert_eq!(CloseCode::try_from(3000).map(u16::from), Ok(3000));
}

#[test]
fn what_cannot_stand_in_a_handshake_is_said() {
    for (error, text) in [
        (InvalidUri::Scheme, "uri scheme is neither ws nor wss"),
        (InvalidUri::Userinfo, "uri holds a user name"),
        (InvalidUri::Host, "uri has no valid host"),
        (InvalidUri::NonAsciiHost, "uri host is not ascii"),
        (InvalidUri::Port, "uri port is no number from 1 to 65535"),
        (InvalidUri::Fragment, "uri has a fragment"),
        (InvalidUri::Character, "uri path or query holds a character that must be percent-encoded"),
    ] {
        check(&error, text, None);
    }
    for (error, text) in [
        (InvalidHeader::Name, "header name is no token"),
        (InvalidHeader::Value, "header value holds a control character"),
        (InvalidHeader::Reserved, "header is written by the handshake itself"),
    ] {
        check(&error, text, None);
    }
    check(&InvalidSubprotocol::NotAToken, "subprotocol is no token", None);
    check(&InvalidSubprotocol::Duplicate, "subprotocol is listed twice", None);
    check(&InvalidOrigin, "origin is neither scheme://host[:port] nor null", None);
    check(&NotOffered, "subprotocol was not offered by the client", None);
    check(
        &Refusal::new(403),
        "handshake refused with status 403: request was refused with status 403",
        Some("request was refused with status 403"),
    );
    check(&HandshakeError::Method, "request method is not GET", None);
}

#[cfg(feature = "std")]
mod over_a_transport {
    use std::io;
    use std::sync::Arc;

    use sansocket::blocking::{AcceptError, ConnectError, Error};

    use super::*;

    fn broken_pipe() -> io::Error {
        io::Error::new(io::ErrorKind::BrokenPipe, "pipe")
    }

    #[test]
    fn why_a_call_failed_is_said() {
        let (broken, text) = BROKEN[0];
        let all = format!("the peer broke the protocol: {text}");
        check(&Error::from(broken), &all, Some(text));
        check(&Error::EndOfStream, "the transport ended without a close frame", None);
        check(&Error::CloseTimeout, "the peer did not finish the closing handshake in time", None);
        check(&Error::Io(Arc::new(broken_pipe())), "the transport failed: pipe", Some("pipe"));
        check(&Error::from(SendError::Closed), "the connection is closed", Some("the connection is closed"));
        check(&Error::WouldBlock, "the transport is not ready", None);
    }

    #[test]
    fn why_nothing_was_accepted_is_said() {
        let refused = "handshake refused with status 403: request was refused with status 403";
        check(&AcceptError::Refused(Refusal::new(403)), refused, Some(refused));
        check(&AcceptError::EndOfStream, "the client went away before its request was whole", None);
        check(&AcceptError::Timeout, "the client did not take the response in time", None);
        check(&AcceptError::Io(broken_pipe()), "the transport failed: pipe", Some("pipe"));
    }

    #[test]
    fn why_nothing_was_connected_is_said() {
        use ConnectError as E;
        let (status, said) = (HandshakeError::Status(200), "server answered with status 200, not 101");
        check(
            &E::from(InvalidUri::Port),
            "uri port is no number from 1 to 65535",
            Some("uri port is no number from 1 to 65535"),
        );
        check(
            &E::Handshake(status.clone(), None),
            &format!("the opening handshake failed: {said}"),
            Some(said),
        );
        check(&E::ProxyHandshake(status), &format!("the proxy opened no tunnel: {said}"), Some(said));
        check(&E::EndOfStream, "the transport ended before the response was whole", None);
        check(&E::Timeout, "the opening handshake took too long", None);
        check(&E::Io(broken_pipe()), "the transport failed: pipe", Some("pipe"));
        check(&E::Tls(broken_pipe()), "TLS failed: pipe", Some("pipe"));
        check(&E::TlsNotEnabled, "there is no TLS for a wss URI", None);
        check(&E::TooManyPending, "too many connection attempts are waiting", None);
    }
}
