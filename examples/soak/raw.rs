//! An end that is not the library, and misbehaves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sansocket::test_util::Frame;
use sansocket::{Message, Role};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::conversation::messages_of;
use crate::ledger::{Ended, Record};
use crate::plan::{Fault, Misdeed, Random, Wrong, other};

/// Sends good messages, each in one frame or in fragments, and then does what the plan says.
pub(crate) async fn misbehave(tcp: TcpStream, role: Role, record: &Arc<Record>) -> Ended {
    let Fault::Raw(_, misdeed, count) = record.plan.fault else { return Ended::NoHandshake };
    let (read, mut write) = tcp.into_split();
    let (pinged, mut pings) = unbounded_channel();
    let reading = (misdeed != Misdeed::NeverReads).then(|| tokio::spawn(receive(read, other(role), pinged)));
    let mut random = Random::new(&[record.plan.seed, record.plan.id, 99]);
    let mut octets = Vec::new();
    let sent = record.sent(role);
    for number in 0..count {
        let message = messages_of(&record.plan, role).message(number);
        let frame = match &message {
            Message::Text(_) => Frame::text(message.payload()),
            Message::Binary(_) => Frame::binary(message.payload()),
        };
        let len = if random.percent(50) { usize::MAX } else { 1 + message.payload().len() / 3 };
        for (at, fragment) in frame.in_fragments(len).iter().enumerate() {
            if at > 0 && random.percent(30) {
                octets.extend(Frame::ping("between").octets(role));
            }
            octets.extend(fragment.octets(role));
        }
        sent.taken.store(number + 1, Ordering::Release);
    }
    if misdeed == Misdeed::NeverAnswersClose {
        // The other end may close once it has these.
        sent.total.store(count, Ordering::Release);
        octets.extend(Frame::ping("the last").octets(role));
    }
    record.fault_fires();
    match misdeed {
        Misdeed::Wrong(wrong) => octets.extend(wrong_octets(wrong, role, &mut random)),
        Misdeed::CutAndGarbage => {
            let header = Frame::binary([]).header((role == Role::Client).then_some([1, 2, 3, 4]), 5000);
            octets.extend(header);
            octets.extend((0..random.below(5000)).map(|_| random.next() as u8));
        }
        Misdeed::NeverAnswersClose | Misdeed::NeverReads => {}
    }
    // A peer that has given up takes no more.
    let written = write.write_all(&octets).await;
    record.note(format_args!("raw octets written: {written:?}"));
    match misdeed {
        Misdeed::CutAndGarbage => {
            let reset = write.as_ref().set_zero_linger();
            record.note(format_args!("reset: {reset:?}"));
            write.forget();
            if let Some(reading) = reading {
                reading.abort();
                // It has been aborted, which is no news.
                let _ = reading.await;
            }
            Ended::Raw(None)
        }
        Misdeed::NeverReads => {
            record.ended(other(role)).await;
            Ended::Raw(None)
        }
        Misdeed::Wrong(_) | Misdeed::NeverAnswersClose => {
            // It lives, as far as anybody can see.
            while let Some(payload) = pings.recv().await {
                // Refused once the other end has gone, which the one who reads will see.
                let _ = write.write_all(&Frame::pong(payload).octets(role)).await;
            }
            match reading {
                Some(reading) => Ended::Raw(reading.await.ok().and_then(Result::ok).flatten()),
                None => Ended::Raw(None),
            }
        }
    }
}

/// Reads until the transport ends: the status code of the Close frame, if one came. Passes on what Pings carry.
async fn receive(
    mut read: impl AsyncRead + Unpin,
    sender: Role,
    pinged: UnboundedSender<Vec<u8>>,
) -> io::Result<Option<u16>> {
    let mut octets = Vec::new();
    let mut code = None;
    loop {
        while let Ok(Some((frame, len))) = Frame::decode(sender, &octets) {
            octets.drain(..len);
            code = code.or(frame.close_code());
            // A protocol that is broken already needs no Pong: then nobody takes it.
            if frame.opcode == 0x9 {
                let _ = pinged.send(frame.payload);
            }
        }
        // A reset behind the Close frame does not matter: that has come.
        match read.read_buf(&mut octets).await {
            Ok(0) => return Ok(code),
            Err(error) if code.is_none() => return Err(error),
            Err(_) => return Ok(code),
            Ok(_) => {}
        }
    }
}

fn wrong_octets(wrong: Wrong, role: Role, random: &mut Random) -> Vec<u8> {
    match wrong {
        Wrong::Garbage => {
            let mut octets: Vec<u8> = (0..1 + random.below(2000)).map(|_| random.next() as u8).collect();
            octets[0] |= 0x30;
            octets
        }
        Wrong::Masking if role == Role::Client => Frame::text("bare").unmasked(),
        Wrong::Masking => Frame::text("masked").masked([1, 2, 3, 4]),
        Wrong::Opcode => Frame::new(3 + random.below(5) as u8, "opcode").octets(role),
        Wrong::FragmentedPing => Frame::ping("half").not_final().octets(role),
        Wrong::Continuation => Frame::continuation("of nothing").octets(role),
        Wrong::Utf8 => Frame::text([b'a', 0xff]).octets(role),
        Wrong::CloseCode => Frame::close(1005, "").octets(role),
        Wrong::Length => {
            let mut header =
                Frame::binary([]).header((role == Role::Client).then_some([1, 2, 3, 4]), 1 << 20);
            // The most significant bit of a length of eight octets.
            header[2] |= 0x80;
            header
        }
    }
}
