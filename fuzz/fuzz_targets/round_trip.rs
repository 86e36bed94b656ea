//! Two ends and what they say to each other, over a transport that cuts the octets anywhere: RFC 6455 §5, §6, §7.1.
//!
//! Messages, whole and in fragments, Pings, Pongs and Close, as the input says, with limits, fragments and compression. Each
//! call is accepted or refused as it must be; everything that was sent arrives, in order, once and unchanged; and both ends
//! report the same end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::connection::{CloseReport, ClosedBy, Fin};
use sansocket::{Role, SendError};
use sansocket_fuzz::Input;
use sansocket_fuzz::pair::{Call, End, Message, Pair};

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let mut pair = Pair::parse(&mut input);
    // To compress takes most of the time.
    let mut left = if pair.compresses { MAX_LEN / 5 } else { MAX_LEN };
    while !input.is_empty() {
        let [what, steps] = input.array();
        let from = usize::from(what & 1);
        // Mostly senders wait as they should.
        if what & 0x80 == 0 {
            pair.until_not_full(from);
        }
        let call = call(what >> 1 & 7, &mut input, &mut left);
        make(&mut pair.ends[from], &call);
        for _ in 0..steps & 7 {
            pair.step();
        }
    }
    if pair.ends.iter().all(|end| end.sent_close.is_none()) {
        pair.until_flushed();
        assert_everything_arrived(&pair);
        pair.until_not_full(0);
        make(&mut pair.ends[0], &Call::Close(Some(1000), String::new()));
    }
    pair.until_closed();
    assert_messages_arrived(&pair);
    assert_same_end(&pair);
});

/// `left` is how many octets of payload all that follows may have.
fn call(kind: u8, input: &mut Input<'_>, left: &mut usize) -> Call {
    match kind {
        0 => Call::Send(message(input, left), false),
        1 => Call::Send(message(input, left), true),
        2 => Call::Fragment(message(input, left), Fin::More),
        3 => Call::Fragment(message(input, left), Fin::Last),
        4 | 5 => Call::Ping(input.octet()),
        6 => Call::Pong(input.octet()),
        _ => {
            let code = u16::from_be_bytes(input.array());
            let reason: String = input.short().iter().map(|octet| char::from(octet & 0x7f)).collect();
            Call::Close((code > 0).then_some(code), reason)
        }
    }
}

fn message(input: &mut Input<'_>, left: &mut usize) -> Message {
    let [how, times] = input.array();
    let piece = input.take(usize::from(how >> 3));
    let mut payload = piece.repeat(TIMES[usize::from(times) % TIMES.len()]);
    payload.truncate(*left);
    *left -= payload.len();
    let is_text = how & 1 != 0;
    if is_text {
        payload.iter_mut().for_each(|octet| *octet &= 0x7f);
    }
    Message { is_text, payload, compression: how >> 1 & 3 }
}

/// Makes the call, which has to be accepted exactly when it may be.
fn make(end: &mut End, call: &Call) {
    let expected = expected(end, call);
    let found = end.make(call);
    match expected {
        Ok(()) => assert_eq!(found, Ok(()), "{call:?}"),
        // Which of the two depends on how far it has come.
        Err(SendError::SendAfterClose) => {
            assert!(matches!(found, Err(SendError::SendAfterClose | SendError::Closed)), "{found:?}");
        }
        Err(error) => assert_eq!(found, Err(error), "{call:?}"),
    }
}

fn expected(end: &End, call: &Call) -> Result<(), SendError> {
    if end.sent_close.is_some() {
        return Err(SendError::SendAfterClose);
    }
    let is_full = end.connection.is_full();
    match call {
        Call::Close(Some(1010), _) if end.role() == Role::Server => Err(SendError::CodeNotForRole),
        Call::Close(..) => Ok(()),
        _ if is_full => Err(SendError::QueueFull),
        Call::Send(..) if end.open.is_some() => Err(SendError::MessageOpen),
        Call::Fragment(fragment, _)
            if end.open.as_ref().is_some_and(|open| open.is_text != fragment.is_text) =>
        {
            Err(SendError::WrongFragmentKind)
        }
        Call::Ping(len) | Call::Pong(len) if *len > 125 => Err(SendError::ControlPayloadTooLong),
        _ => Ok(()),
    }
}

fn assert_messages_arrived(pair: &Pair) {
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (&pair.ends[from], &pair.ends[to]);
        assert_eq!(to.messages.len(), from.sent.len());
        for (received, sent) in to.messages.iter().zip(&from.sent) {
            assert!(received == sent, "another message than was sent");
        }
        assert_eq!(to.pings, from.pinged, "every Ping arrives");
        // Behind the peer's Close nothing is looked at.
        let mut expected = from.ponged.iter();
        assert!(to.pongs.iter().filter(|pong| pong[0] == b'u').all(|pong| expected.any(|sent| sent == pong)));
        let mut answers: Vec<_> = to.pongs.iter().filter(|pong| pong[0] == b'p').collect();
        if from.most_queued >= PONGS_IN_ORDER {
            // Then the newest goes ahead of those that are queued.
            answers.sort_unstable();
        }
        let mut expected = to.pinged.iter();
        assert!(
            answers.iter().all(|pong| expected.any(|sent| sent == *pong)),
            "each is answered once at most"
        );
    }
}

/// Nobody has begun to close.
fn assert_everything_arrived(pair: &Pair) {
    assert_messages_arrived(pair);
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (&pair.ends[from], &pair.ends[to]);
        assert!(to.pongs.iter().filter(|pong| pong[0] == b'u').eq(&from.ponged));
        let answers: Vec<_> = to.pongs.iter().filter(|pong| pong[0] == b'p').collect();
        assert_eq!(answers.iter().max(), to.pinged.iter().max().as_ref(), "the last Ping is answered");
        if from.most_queued < PONGS_IN_ORDER {
            assert!(answers.into_iter().eq(&to.pinged), "every Ping is answered");
        }
    }
}

fn assert_same_end(pair: &Pair) {
    let reports: Vec<CloseReport> = pair.ends.iter().map(End::report).collect();
    for (i, report) in reports.iter().enumerate() {
        let (end, other, other_report) = (&pair.ends[i], &pair.ends[1 - i], &reports[1 - i]);
        assert!(report.clean && report.failure.is_none(), "{report:?}");
        let (code, reason) = end.sent_close.as_ref().expect("both have sent one");
        assert_eq!(report.sent.map(|sent| sent.map(u16::from)), Some(*code));
        assert_eq!(other_report.received.number(), code.unwrap_or(1005));
        assert_eq!(&*other_report.received_reason, reason);
        let closed_by = if end.has_closed { ClosedBy::Local } else { ClosedBy::Remote };
        assert_eq!(report.closed_by, closed_by);
        assert!(end.has_closed || other.has_closed);
        assert_eq!(report.messages_thrown_away, 0);
    }
}

const TIMES: [usize; 8] = [1, 2, 7, 40, 300, 1400, 5000, 20_000];
const MAX_LEN: usize = 100_000;
const PONGS_IN_ORDER: usize = 16 << 10;
