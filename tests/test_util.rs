//! The test kit does what it says: pieces, stalls, delays, cuts, failing writes, and expectations that say what came.
#![cfg(all(feature = "test-util", feature = "tokio"))]

use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sansocket::Role;
use sansocket::test_util::{Cut, Peer, Transport, pair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_transport_reads_and_writes_in_pieces() {
    let (mut near, mut far) = pair();
    near.outgoing().write_at_most(3);
    assert_eq!(near.write(b"Hello").await.unwrap(), 3);
    near.write_all(b"lo").await.unwrap();
    near.outgoing().read_at_most(2);
    let mut buffer = [0; 9];
    assert_eq!(far.read(&mut buffer).await.unwrap(), 2);
    assert_eq!(far.read(&mut buffer[2..]).await.unwrap(), 2);
    assert_eq!(near.outgoing().unread(), 1);
    assert_eq!(far.read(&mut buffer[4..]).await.unwrap(), 1);
    assert_eq!(buffer[..5], *b"Hello");
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_room_and_is_woken_by_the_reader() {
    let (mut near, mut far) = pair();
    near.outgoing().capacity(4);
    let writer = tokio::spawn(async move { near.write_all(&[7; 100]).await.map(|()| near) });
    tokio::time::sleep(SECOND).await;
    assert!(!writer.is_finished());
    let mut read = [0; 100];
    far.read_exact(&mut read).await.unwrap();
    assert_eq!(read, [7; 100]);
    writer.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stalled_direction_gives_nothing_until_it_goes_on() {
    let (mut near, mut far) = pair();
    let direction = near.outgoing();
    direction.stall();
    near.write_all(b"late").await.unwrap();
    drop(near);
    let mut read = Vec::new();
    assert!(timeout(SECOND, far.read_to_end(&mut read)).await.is_err());
    let reader = tokio::spawn(async move { far.read_to_end(&mut read).await.map(|_| read) });
    tokio::task::yield_now().await;
    direction.resume();
    assert_eq!(reader.await.unwrap().unwrap(), b"late");
}

#[tokio::test(start_paused = true)]
async fn octets_arrive_after_their_latency() {
    let (mut near, mut far) = pair();
    near.outgoing().latency(SECOND);
    let begin = Instant::now();
    near.write_all(b"a").await.unwrap();
    tokio::time::sleep(SECOND / 4).await;
    near.write_all(b"b").await.unwrap();
    let mut buffer = [0; 2];
    assert_eq!(far.read(&mut buffer).await.unwrap(), 1);
    assert_eq!(begin.elapsed(), SECOND);
    assert_eq!(far.read(&mut buffer).await.unwrap(), 1);
    // The runtime's timer counts milliseconds.
    assert_eq!(begin.elapsed().as_millis(), 1250);
    let (near, mut peer) = Peer::new(Role::Client);
    near.outgoing().latency(SECOND);
    let mut near = near;
    near.write_all(b"c").await.unwrap();
    peer.expect_nothing().unwrap();
    peer.expect_octets("c").await.unwrap();
    assert_eq!(begin.elapsed().as_millis(), 2250);
}

#[tokio::test]
async fn a_cut_ends_or_fails_reading_after_so_many_octets() {
    for (cut, expected) in
        [(Cut::End, Ok(0)), (Cut::Fails(ErrorKind::ConnectionReset), Err(ErrorKind::ConnectionReset))]
    {
        let (mut near, mut far) = pair();
        near.write_all(b"one").await.unwrap();
        let mut buffer = [0; 9];
        assert_eq!(far.read(&mut buffer[..2]).await.unwrap(), 2);
        near.outgoing().cut_after(2, cut);
        near.write_all(b"two").await.unwrap();
        assert_eq!(far.read(&mut buffer).await.unwrap(), 2);
        assert_eq!(buffer[..2], *b"et");
        for _ in 0..2 {
            assert_eq!(far.read(&mut buffer).await.map_err(|error| error.kind()), expected);
        }
        far.write_all(b"the other way").await.unwrap();
        near.read_exact(&mut buffer).await.unwrap();
    }
}

#[tokio::test]
async fn writes_fail_while_reading_goes_on() {
    let (mut near, mut far) = pair();
    near.write_all(b"before").await.unwrap();
    near.outgoing().fail_writes(ErrorKind::BrokenPipe);
    far.write_all(b"other").await.unwrap();
    assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(near.flush().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut buffer = [0; 6];
    near.read_exact(&mut buffer[..5]).await.unwrap();
    far.read_exact(&mut buffer).await.unwrap();
    assert_eq!(buffer, *b"before");
}

#[tokio::test]
async fn both_ends_see_a_reset_and_a_drop() {
    let (mut near, peer) = Peer::new(Role::Server);
    peer.send("lost");
    peer.reset();
    let mut buffer = [0; 4];
    assert_eq!(near.read(&mut buffer).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);

    let (mut near, mut peer) = Peer::new(Role::Server);
    near.write_all(b"last").await.unwrap();
    let incoming = near.incoming();
    assert!(!incoming.is_abandoned() && !peer.incoming().has_ended());
    drop(near);
    assert!(incoming.is_abandoned() && peer.incoming().has_ended());
    peer.expect_octets("last").await.unwrap();
    peer.expect_end().await.unwrap();

    let (mut near, peer) = Peer::new(Role::Server);
    drop(peer);
    assert_eq!(near.read(&mut buffer).await.unwrap(), 0);
    assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

/// As the last handle of a task may, whose future owns a transport.
#[tokio::test]
async fn a_waker_that_owns_the_other_end_is_dropped_when_nothing_is_locked() {
    struct Owner(#[allow(dead_code, reason = "it is there to be dropped")] Transport);
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    let (near, mut far) = pair();
    let mut octets = [0];
    let mut read = |waker: &Waker| {
        let mut buffer = ReadBuf::new(&mut octets);
        Pin::new(&mut far).poll_read(&mut Context::from_waker(waker), &mut buffer).map(Result::unwrap)
    };
    assert_eq!(read(&Waker::from(Arc::new(Owner(near)))), Poll::Pending);
    assert_eq!(read(Waker::noop()), Poll::Pending);
    assert_eq!(read(Waker::noop()), Poll::Ready(()), "the other end is gone");
}

mod blocking {
    use std::io::{ErrorKind, Read, Write};
    use std::time::Duration;

    use sansocket::Role;
    use sansocket::blocking::{Timeouts, Transport as _};
    use sansocket::test_util::{Frame, MASKING_KEY, Peer, block_on, pair};

    #[test]
    fn everything_is_put_off_as_often_as_it_was_asked_for() {
        let (near, peer) = Peer::new(Role::Server);
        let mut near = near.nonblocking();
        peer.incoming().hesitate(2);
        peer.outgoing().hesitate(1);
        peer.send("ab");
        peer.outgoing().read_at_most(1);
        let mut buffer = [0; 2];
        for _ in 0..2 {
            assert_eq!(near.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(near.read(&mut buffer).unwrap(), 1);
        }
        for _ in 0..2 {
            assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(near.write(b"x").unwrap(), 1);
        for _ in 0..2 {
            assert_eq!(near.flush().unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(!near.outgoing().is_flushed());
        }
        near.flush().unwrap();
        assert!(near.outgoing().is_flushed());
    }

    #[test]
    fn a_blocking_transport_waits_for_its_other_end_or_for_its_timeout() {
        let (mut near, mut far) = pair();
        near.outgoing().capacity(1);
        let other = std::thread::spawn(move || {
            let mut read = Vec::new();
            far.read_to_end(&mut read).unwrap();
            far.write_all(b"answer").unwrap();
            read
        });
        near.write_all(b"request").unwrap();
        near.shutdown_write().unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        assert_eq!(other.join().unwrap(), b"request");

        let (mut near, _far) = pair();
        let short = Some(Duration::from_millis(1));
        near.set_timeouts(Timeouts { read: short, write: short }).unwrap();
        near.outgoing().capacity(0);
        assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(near.write(&[0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_peer_takes_frames_one_after_the_other() {
        let (mut near, mut peer) = Peer::new(Role::Client);
        let long = vec![1; 70_000];
        for frame in Frame::text("Hello").in_fragments(2) {
            near.write_all(&frame.octets(Role::Server)).unwrap();
        }
        near.write_all(&Frame::binary(&long[..300]).octets(Role::Server)).unwrap();
        near.write_all(&Frame::binary(&long[..]).octets(Role::Server)).unwrap();
        near.write_all(&Frame::close(4000, "why").octets(Role::Server)).unwrap();
        near.write_all(&Frame::empty_close().octets(Role::Server)).unwrap();
        near.write_all(b"HTTP/1.1 101\r\n\r\n").unwrap();
        drop(near);
        block_on(async {
            peer.expect_frame(Frame::text("He").not_final()).await?;
            peer.expect_frame(Frame::continuation("ll").not_final()).await?;
            peer.expect_frame(Frame::continuation("o")).await?;
            peer.expect_frame(Frame::binary(&long[..300])).await?;
            peer.expect_frame(Frame::binary(long)).await?;
            assert_eq!(peer.expect_close(4000).await?, "why");
            assert_eq!(peer.expect_close(None).await?, "");
            assert_eq!(peer.receive_until("\r\n\r\n").await?, b"HTTP/1.1 101\r\n\r\n");
            assert_eq!(peer.next_frame().await?, None);
            peer.expect_end().await
        })
        .unwrap();
    }

    /// What is expected of a server that has sent `octets` and ended the stream, and how the error reads.
    #[test]
    fn a_peer_says_what_it_expected_and_what_came() {
        fn said(
            octets: &[u8],
            expect: impl AsyncFn(&mut Peer) -> Result<(), sansocket::test_util::Unexpected>,
        ) -> String {
            let (mut near, mut peer) = Peer::new(Role::Client);
            near.write_all(octets).unwrap();
            drop(near);
            block_on(expect(&mut peer)).unwrap_err().to_string()
        }
        let ping = Frame::ping([0xff, 0x00]).octets(Role::Server);
        let hello = async |peer: &mut Peer| peer.expect_frame(Frame::text("Hello")).await;
        let close = async |peer: &mut Peer| peer.expect_close(1002).await.map(drop);
        let octets = async |peer: &mut Peer| peer.expect_octets("HTTP/1.1 101").await;
        let end = async |peer: &mut Peer| peer.expect_end().await;
        let nothing = async |peer: &mut Peer| peer.expect_nothing();
        assert_eq!(said(&ping, hello), "expected text frame, \"Hello\", and got ping frame, 2 octets: ff 00");
        assert_eq!(
            said(&Frame::close(1000, "bye").unmasked(), close),
            "expected close frame 1002, and got close frame 1000, \"bye\""
        );
        assert_eq!(said(b"", close), "expected close frame 1002, and got the end of the stream");
        assert_eq!(
            said(b"\x81\x05Hell", hello),
            "expected text frame, \"Hello\", and got 6 octets: 81 05 48 65 6c 6c and the end of the stream"
        );
        assert_eq!(said(b"HTTP/1.1 403", octets), "expected \"HTTP/1.1 101\", and got \"HTTP/1.1 403\"");
        assert_eq!(
            said(&Frame::text("").not_final().with_rsv(4).unmasked(), end),
            "expected the end of the stream, and got text frame, not final, reserved bits 100, \"\""
        );
        assert_eq!(said(b"", nothing), "expected nothing yet, and got the end of the stream");
        assert_eq!(
            said(&Frame::text("m").masked(MASKING_KEY), hello),
            "expected text frame, \"Hello\", and got a masked frame"
        );
        assert_eq!(
            said(b"\x81\x7e\x00\x01m", hello),
            "expected text frame, \"Hello\", and got a length of 1 in a longer form"
        );
    }
}
