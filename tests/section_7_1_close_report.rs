//! How a connection ended: RFC 6455 §7.1.4 to §7.1.6.

#[path = "support/wire.rs"]
mod wire;

#[cfg(feature = "deflate")]
use sansocket::Role;
use sansocket::connection::{CloseReport, ClosedBy, ReceivedClose, TransportPhase};
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Failure, MessageKind, ProtocolError};
use wire::{End, ROLES, each_cut, from_peer_of, seconds};

/// What a report says: who began, what was received with which reason, what was sent, and why it is not clean.
type Said = (ClosedBy, u16, &'static str, Option<Option<u16>>, Option<Failure>);

fn said(report: &CloseReport) -> (ClosedBy, u16, &str, Option<Option<u16>>, Option<Failure>) {
    assert_eq!(report.clean, report.failure.is_none(), "clean, or there is a reason why not");
    let sent = report.sent.map(|code| code.map(CloseCode::get));
    (report.closed_by, report.received.number(), &report.received_reason, sent, report.failure)
}

/// One thing that happens to an end.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The caller closes with this code.
    Close(u16),
    CloseEmpty,
    Send,
    /// The peer sends these frames, given as a server sends them.
    Read(&'static [u8]),
    Flush,
    EndOfStream,
    TransportFailed,
    Abort,
    /// So many seconds pass.
    Wait(u64),
    /// The transport is closed as the end wishes it.
    Finish,
}

use Step::{Abort, Close, CloseEmpty, EndOfStream, Finish, Flush, Read, Send, TransportFailed, Wait};

fn run(end: &mut End, steps: &[Step]) {
    let mut now = 0;
    for step in steps {
        let over = end.close_report().is_some();
        assert!(!over || matches!(step, Finish), "it has ended before {step:?}");
        match *step {
            Close(code) => {
                let code = CloseCode::new(code).expect("a code that may be sent");
                end.close(&CloseFrame::with_code(code)).expect("it is open");
            }
            CloseEmpty => end.close(&CloseFrame::EMPTY).expect("it is open"),
            Send => end.send("queued").expect("it is open"),
            Read(frames) => end.read_frames(frames),
            Flush => drop(end.write_all()),
            EndOfStream => end.end_of_stream(),
            TransportFailed => end.transport_failed(),
            Abort => end.abort(),
            Wait(time) => {
                end.handle_timeout(seconds(now));
                now += time;
                end.handle_timeout(seconds(now));
            }
            Finish => end.finish(),
        }
    }
    assert_eq!(end.phase(), TransportPhase::Drop);
}

const CLOSE_4001: Step = Read(b"\x88\x02\x0f\xa1");
const CLOSE_4001_BYE: Step = Read(b"\x88\x05\x0f\xa1bye");
const CLOSE_EMPTY: Step = Read(b"\x88\x00");
const BAD: Step = Read(b"\x83\x00");
const BAD_OPCODE: Option<Failure> = Some(Failure::Protocol(ProtocolError::UnknownOpcode(3)));

// 6455-5.5.1-13 6455-5.5.1-14 6455-7.1.4-1 6455-7.1.5-1 6455-7.1.5-2 6455-7.1.5-3 6455-7.1.6-1
#[test]
fn each_role_reports_who_closed_with_which_codes_and_whether_it_was_clean() {
    use ClosedBy::{Local, Remote};
    let table: [(&[Step], Said); 29] = [
        // The peer closes.
        (&[CLOSE_4001, Finish], (Remote, 4001, "", Some(Some(4001)), None)),
        (&[CLOSE_4001_BYE, Finish], (Remote, 4001, "bye", Some(Some(4001)), None)),
        (&[CLOSE_EMPTY, Finish], (Remote, 1005, "", Some(None), None)),
        (&[CLOSE_4001, EndOfStream, Finish], (Remote, 4001, "", Some(Some(4001)), None)),
        // This end closes.
        (&[Close(1000), Flush, CLOSE_4001, Finish], (Local, 4001, "", Some(Some(1000)), None)),
        (&[Close(1000), Flush, CLOSE_4001_BYE, Finish], (Local, 4001, "bye", Some(Some(1000)), None)),
        (&[Close(1000), Flush, CLOSE_EMPTY, Finish], (Local, 1005, "", Some(Some(1000)), None)),
        (&[CloseEmpty, Flush, CLOSE_EMPTY, Finish], (Local, 1005, "", Some(None), None)),
        (&[CloseEmpty, Flush, CLOSE_4001, Finish], (Local, 4001, "", Some(None), None)),
        // Both at the same time: this end's is queued when the peer's comes.
        (&[Close(1000), CLOSE_4001, Finish], (Local, 4001, "", Some(Some(1000)), None)),
        (&[Send, Close(1000), CLOSE_4001, Finish], (Local, 4001, "", Some(Some(1000)), None)),
        // The first Close received counts.
        (&[CLOSE_4001, CLOSE_EMPTY, Finish], (Remote, 4001, "", Some(Some(4001)), None)),
        // Both have passed: whatever happens then, it was clean.
        (&[Close(1000), Flush, CLOSE_4001, TransportFailed], (Local, 4001, "", Some(Some(1000)), None)),
        (&[Close(1000), Flush, CLOSE_4001, Abort], (Local, 4001, "", Some(Some(1000)), None)),
        (&[CLOSE_4001, Flush, TransportFailed], (Remote, 4001, "", Some(Some(4001)), None)),
        (&[CLOSE_4001, Flush, Wait(60), Finish], (Remote, 4001, "", Some(Some(4001)), None)),
        // The answer was never written.
        (&[CLOSE_4001, TransportFailed], (Remote, 4001, "", Some(Some(4001)), Some(Failure::Transport))),
        (&[CLOSE_4001, Abort], (Remote, 4001, "", Some(Some(4001)), Some(Failure::Transport))),
        (&[CLOSE_4001, Wait(10)], (Remote, 4001, "", Some(Some(4001)), Some(Failure::CloseTimeout))),
        // No Close came.
        (&[EndOfStream, Finish], (Remote, 1006, "", None, Some(Failure::EndOfStream))),
        (&[Send, EndOfStream, TransportFailed], (Remote, 1006, "", None, Some(Failure::EndOfStream))),
        (&[TransportFailed], (Remote, 1006, "", None, Some(Failure::Transport))),
        (&[Abort], (Local, 1006, "", None, Some(Failure::Transport))),
        (
            &[Close(1000), Flush, EndOfStream, Finish],
            (Local, 1006, "", Some(Some(1000)), Some(Failure::EndOfStream)),
        ),
        (
            &[Close(1000), Flush, TransportFailed],
            (Local, 1006, "", Some(Some(1000)), Some(Failure::Transport)),
        ),
        (&[Close(1000), Flush, Wait(10)], (Local, 1006, "", Some(Some(1000)), Some(Failure::CloseTimeout))),
        // The peer broke a rule.
        (&[BAD, Finish], (Local, 1006, "", Some(Some(1002)), BAD_OPCODE)),
        (&[BAD, TransportFailed], (Local, 1006, "", Some(Some(1002)), BAD_OPCODE)),
        (&[Close(4000), Flush, BAD, Finish], (Local, 1006, "", Some(Some(4000)), BAD_OPCODE)),
    ];
    for role in ROLES {
        for (steps, expected) in &table {
            let mut end = End::new(role);
            run(&mut end, steps);
            let report = end.close_report().unwrap();
            assert_eq!(said(&report), *expected, "{role:?} {steps:?}");
            assert_eq!(end.close_report(), Some(report), "again the same");
        }
    }
}

// 6455-7.1.5-1 6455-7.1.6-1
#[test]
fn each_role_reports_the_reason_however_the_close_is_cut() {
    for role in ROLES {
        let input = from_peer_of(role, b"\x88\x08\x03\xe9gr\xc3\xbc\xc3\x9f");
        each_cut(&input, |pieces| {
            let mut end = End::new(role);
            pieces.iter().for_each(|piece| end.read(piece));
            end.finish();
            let report = end.close_report().unwrap();
            assert_eq!(&*report.received_reason, "grüß");
            assert_eq!(report.received, ReceivedClose::Code(CloseCode::GOING_AWAY));
            assert_eq!(report.closed_by, ClosedBy::Remote);
        });
    }
}

// 6455-7.1.5-2 6455-7.1.5-3 CM-41
#[test]
fn what_was_received_has_the_number_that_the_rfc_gives_it() {
    assert_eq!(ReceivedClose::Code(CloseCode::NORMAL).number(), 1000);
    assert_eq!(ReceivedClose::NoStatus.number(), 1005);
    assert_eq!(ReceivedClose::Abnormal.number(), 1006);
    assert_eq!(ReceivedClose::default(), ReceivedClose::Abnormal);
}

// 6455-5.5.1-4
#[test]
fn the_reason_is_data_that_no_error_shows() {
    for role in ROLES {
        let mut end = End::new(role);
        end.read_frames(b"\x88\x08\x03\xe8secret");
        end.transport_failed();
        let report = end.close_report().unwrap();
        assert_eq!(&*report.received_reason, "secret");
        assert_eq!(report.failure.unwrap().to_string(), "the transport failed");
    }
}

/// Frames without a mask, and how many octets of payload they add to the message that they leave open, if they do.
const PIECES: [(&[u8], Option<usize>); 6] = [
    (b"\x81\x05Hello", None),
    (b"\x02\x03abc", Some(3)),
    (b"\x89\x02hi", Some(0)),
    (b"\x00\x00", Some(0)),
    (b"\x00\x02de", Some(2)),
    (b"\x80\x04fghi", None),
];

// 6455-7.1.5-3
#[test]
fn both_report_what_the_end_of_the_stream_has_cut_off() {
    for role in ROLES {
        let mut before: Vec<u8> = Vec::new();
        let mut had = 0;
        for (frame, adds) in PIECES {
            let octets = from_peer_of(role, frame);
            let header_len = octets.len() - usize::from(frame[1]);
            let is_control = frame[0] & 8 != 0;
            let opens = frame[0] & 0xf != 0 && !is_control;
            for cut in 0..octets.len() {
                let mut end = End::new(role);
                end.read(&[&before, &octets[..cut]].concat());
                end.end_of_stream();
                end.finish();
                let report = end.close_report().expect("it has ended");
                assert_eq!(report.received.number(), 1006);
                // A message is open from its first whole header on.
                let is_open = if opens { cut >= header_len } else { !before.is_empty() };
                let came = if is_control { 0 } else { cut.saturating_sub(header_len) };
                let expected = is_open.then_some((had + came) as u64);
                assert_eq!(
                    report.cut_off.map(|cut_off| cut_off.octets),
                    expected,
                    "{role:?}, {frame:?}, {cut}"
                );
                let text = opens && frame[0] & 0xf == 1;
                let kind = if text { MessageKind::Text } else { MessageKind::Binary };
                assert!(report.cut_off.is_none_or(|cut_off| cut_off.kind == kind));
            }
            // The first message is whole, and begins nothing.
            if let Some(adds) = adds {
                had += adds;
                before.extend(octets);
            }
        }
    }
}

#[test]
fn both_report_nothing_cut_off_when_the_peer_closes_or_breaks_a_rule_inside_a_message() {
    for role in ROLES {
        for last in [&b"\x88\x00"[..], b"\x83\x00"] {
            let mut end = End::new(role);
            end.read_frames(&[b"\x01\x03abc", last].concat());
            end.finish();
            end.finish();
            assert_eq!(end.close_report().expect("it has ended").cut_off, None);
        }
        let mut end = End::new(role);
        end.read_frames(b"\x01\x03abc");
        assert_eq!(end.close_report(), None);
        end.transport_failed();
        let cut_off = end.close_report().expect("it has ended").cut_off;
        assert_eq!(cut_off.map(|cut_off| (cut_off.kind, cut_off.octets)), Some((MessageKind::Text, 3)));
    }
}

/// RFC 7692 §7.2.3.1: "Hello" compressed, in two fragments, but for its last octet.
#[cfg(feature = "deflate")]
#[test]
fn both_report_how_many_octets_of_a_compressed_message_had_come() {
    use sansocket::Config;
    use sansocket::connection::Connection;
    use sansocket::deflate::{Agreement, DeflateConfig};

    for role in ROLES {
        let connection = match role {
            Role::Client => Connection::client(&Config::default(), wire::fixed_key()),
            Role::Server => Connection::server(&Config::default()),
        };
        let mut connection = connection.with_deflate(&Agreement::new(DeflateConfig::default()));
        let mut octets = from_peer_of(role, b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00");
        octets.pop();
        assert!(connection.receive(&mut octets).expect("it is right so far").event.is_none());
        connection.transport_failed();
        let cut_off = connection.close_report().expect("it has ended").cut_off;
        assert_eq!(cut_off.map(|cut_off| (cut_off.kind, cut_off.octets)), Some((MessageKind::Text, 6)));
    }
}
