//! Two tasks on an unsplit socket, the `Stream` in one and the `Sink` in the other, as `StreamExt::split` makes them.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]
#![cfg(feature = "tokio")]

mod stream_support;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use sansocket::stream::{Error, WebSocket};
use sansocket::{CloseCode, Config, Message, Role};
use stream_support::*;
use tokio::io::{AsyncRead, AsyncWrite, duplex};
use tokio::time::{Instant, sleep, timeout};

type Halves<S> = (SplitSink<WebSocket<S>, Message>, SplitStream<WebSocket<S>>);

fn halves(role: Role, config: &Config) -> (Halves<Mock>, Script) {
    let (socket, script) = connect_with(role, config);
    (StreamExt::split(socket), script)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future).await.expect("nobody is woken any more")
}

#[test]
fn stream_is_woken_by_input_after_the_sink_has_read_ahead() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &quiet());
        let (received, stream_waker) = Wakes::new();
        assert!(poll_with(pin!(stream.next()), &stream_waker).is_pending());
        script.window(0);
        let (sent, sink_waker) = Wakes::new();
        assert!(poll_with(pin!(sink.send(Message::text("blocked"))), &sink_waker).is_pending());
        for text in ["m", "n"] {
            let count = received.count();
            script.peer_sends(to(role, TEXT, text.as_bytes()));
            assert!(received.count() > count, "nobody told the stream of {text}");
            let next = poll_with(pin!(stream.next()), &stream_waker).map(|next| next.unwrap().unwrap());
            assert_eq!(next, Poll::Ready(Message::text(text)));
            assert!(poll_with(pin!(stream.next()), &stream_waker).is_pending());
        }
        // It was woken together with the stream, and has not been polled since.
        assert_eq!(sent.count(), 1);
        script.window(usize::MAX);
        assert!(poll_with(pin!(sink.flush()), &sink_waker).is_ready());
        assert_eq!(frames(role, &script.written()), [Frame(TEXT, b"blocked".to_vec())]);
    }
}

#[test]
fn sink_is_woken_by_room_after_the_stream_has_offered_output() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &quiet());
        script.window(0);
        let (sent, sink_waker) = Wakes::new();
        assert!(poll_with(pin!(sink.send(Message::text("blocked"))), &sink_waker).is_pending());
        let (_, stream_waker) = Wakes::new();
        assert!(poll_with(pin!(stream.next()), &stream_waker).is_pending());
        script.window(usize::MAX);
        assert_eq!(sent.count(), 1, "nobody told the sink of the room");
        assert!(poll_with(pin!(sink.flush()), &sink_waker).is_ready());
        assert_eq!(frames(role, &script.written()), [Frame(TEXT, b"blocked".to_vec())]);
    }
}

#[test]
fn stream_is_woken_when_the_sink_has_read_for_it() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &quiet());
        script.window(0);
        let (received, stream_waker) = Wakes::new();
        assert!(poll_with(pin!(stream.next()), &stream_waker).is_pending());
        script.peer_sends_unannounced(to(role, TEXT, b"m"));
        assert!(poll_with(pin!(sink.send(Message::text("blocked"))), Waker::noop()).is_pending());
        assert_eq!(received.count(), 1, "the sink has taken its input away");
        assert!(poll_with(pin!(stream.next()), &stream_waker).is_ready());
    }
}

#[test]
fn sink_is_woken_when_the_stream_has_written_for_it() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &quiet());
        script.window(0);
        let (sent, sink_waker) = Wakes::new();
        assert!(poll_with(pin!(sink.send(Message::text("blocked"))), &sink_waker).is_pending());
        script.window_unannounced(usize::MAX);
        assert!(poll_with(pin!(stream.next()), Waker::noop()).is_pending());
        assert_eq!(sent.count(), 1, "all of it is written");
        assert!(poll_with(pin!(sink.flush()), &sink_waker).is_ready());
    }
}

#[test]
fn sink_is_told_when_the_stream_receives_what_fails_the_connection() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &quiet());
        script.window(0);
        let (sent, sink_waker) = Wakes::new();
        script.peer_sends(to(role, 0xf1, b"reserved bits"));
        // It is read by the one, and parsed by the other.
        assert!(poll_with(pin!(sink.send(Message::text("blocked"))), &sink_waker).is_pending());
        let runtime = paused();
        let _entered = runtime.enter();
        assert!(poll_with(pin!(stream.next()), Waker::noop()).is_pending());
        assert_eq!(sent.count(), 1);
        let end = poll_with(pin!(sink.flush()), &sink_waker);
        assert!(matches!(end, Poll::Ready(Err(Error::Protocol(_)))), "{end:?}");
    }
}

#[test]
fn sender_is_not_woken_once_it_has_gone_on() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &quiet().high_water_mark(100));
        script.window(0);
        let (received, receiver) = Wakes::new();
        let (sent, sender) = Wakes::new();
        assert!(poll_with(pin!(socket.receive()), &receiver).is_pending());
        assert!(poll_with(pin!(socket.feed(&[7; 150])), &sender).is_pending());
        // Not all of it can be written, but enough for another message.
        script.window_unannounced(100);
        let room = Pin::new(&mut socket).poll_ready(&mut Context::from_waker(&sender));
        assert!(matches!(room, Poll::Ready(Ok(()))));
        script.peer_sends(to(role, TEXT, b"m"));
        assert_eq!((received.count(), sent.count()), (1, 0));
        assert!(poll_with(pin!(socket.receive()), &receiver).is_ready());
        script.window_unannounced(usize::MAX);
        assert!(poll_with(pin!(socket.flush()), &sender).is_ready());
        assert!(poll_with(pin!(socket.receive()), &receiver).is_pending());
        assert_eq!((received.count(), sent.count()), (1, 0), "neither waits for what the other has done");
    }
}

#[test]
fn one_task_hands_its_waker_through_whichever_side_waits() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        let (_, waker) = Wakes::new();
        for _ in 0..3 {
            assert!(poll_with(pin!(socket.receive()), &waker).is_pending());
            assert!(script.reader_is(&waker));
            script.window(0);
            assert!(poll_with(pin!(socket.send("blocked")), &waker).is_pending());
            assert!(script.reader_is(&waker));
            script.window(usize::MAX);
            assert!(poll_with(pin!(socket.flush()), &waker).is_ready());
        }
        // A future that was dropped belonged to another task, in which the socket was before.
        let (_, elsewhere) = Wakes::new();
        assert!(poll_with(pin!(socket.receive()), &elsewhere).is_pending());
        assert!(script.reader_is(&elsewhere));
    }
}

#[test]
fn task_is_kept_by_no_waker_once_the_socket_is_gone() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &quiet());
        script.window(0);
        let (received, stream_waker) = Wakes::new();
        let (sent, sink_waker) = Wakes::new();
        assert!(poll_with(pin!(stream.next()), &stream_waker).is_pending());
        assert!(poll_with(pin!(sink.send(Message::text("blocked"))), &sink_waker).is_pending());
        assert!(poll_with(pin!(stream.next()), &stream_waker).is_pending());
        drop((stream_waker, sink_waker));
        assert!(Arc::strong_count(&received) > 1 && Arc::strong_count(&sent) > 1, "both wait");
        // The script, as the other end of a pipe would, still has what the transport was polled with.
        drop((sink, stream));
        assert_eq!((Arc::strong_count(&received), Arc::strong_count(&sent)), (1, 1));
        script.peer_ends();
    }
}

#[test]
fn waker_is_forgotten_when_its_task_was_woken() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &quiet());
        script.window(0);
        let (sent, sink_waker) = Wakes::new();
        assert!(poll_with(pin!(stream.next()), Waker::noop()).is_pending());
        assert!(poll_with(pin!(sink.send(Message::text("blocked"))), &sink_waker).is_pending());
        // The task of the sink has ended.
        drop((sink, sink_waker));
        script.peer_sends(to(role, TEXT, b"m"));
        assert_eq!(Arc::strong_count(&sent), 1);
        assert!(poll_with(pin!(stream.next()), Waker::noop()).is_ready());
    }
}

/// A waker that makes the transport wake again, once, when it is called and when it is dropped.
struct Reentrant(Script, AtomicUsize);

impl Reentrant {
    fn again(&self, text: &[u8]) {
        if self.1.fetch_add(1, Ordering::Relaxed) == 0 {
            self.0.peer_sends(to(Role::Client, TEXT, text));
        }
    }
}

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        self.again(b"woken");
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.again(b"dropped");
    }
}

#[test]
fn waker_is_called_and_dropped_when_nothing_is_locked() {
    let ((mut sink, mut stream), script) = halves(Role::Client, &quiet());
    script.window(0);
    let reentrant = || Waker::from(Arc::new(Reentrant(script.clone(), AtomicUsize::new(0))));
    assert!(poll_with(pin!(sink.send(Message::text("blocked"))), &reentrant()).is_pending());
    assert!(poll_with(pin!(stream.next()), &reentrant()).is_pending());
    // It takes the place of the first, which is dropped, and makes the transport wake both.
    assert!(poll_with(pin!(sink.flush()), &reentrant()).is_pending());
    script.peer_sends(to(Role::Client, TEXT, b"m"));
    let mut texts = Vec::new();
    while let Poll::Ready(next) = poll_with(pin!(stream.next()), Waker::noop()) {
        texts.push(next.unwrap().unwrap());
    }
    for text in ["m", "woken", "dropped"] {
        assert!(texts.contains(&Message::text(text)), "{text}: {texts:?}");
    }
}

/// Counts how often it is polled, whatever for.
struct Counted<T>(T, Arc<AtomicUsize>);

impl<T> Counted<T> {
    /// A clock that is paused never comes to a task that is polled without end.
    fn counted(&self) {
        let polls = self.1.fetch_add(1, Ordering::Relaxed);
        assert!(polls < 100_000, "tasks that wake each other without end");
    }
}

impl<T: Stream + Unpin> Stream for Counted<T> {
    type Item = T::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T::Item>> {
        self.counted();
        self.0.poll_next_unpin(cx)
    }
}

impl<T: Sink<Message> + Unpin> Sink<Message> for Counted<T> {
    type Error = T::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        self.counted();
        self.0.poll_ready_unpin(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), T::Error> {
        self.0.start_send_unpin(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        self.counted();
        self.0.poll_flush_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        self.counted();
        self.0.poll_close_unpin(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn two_tasks_do_not_wake_each_other_while_the_transport_is_stalled() {
    for role in ROLES {
        let alive = Config::default().write_timeout(None).dead_peer_timeout(None);
        // Silence is looked at every ten seconds.
        for (config, looks) in [(quiet(), 0), (alive, 360)] {
            let ((sink, stream), script) = halves(role, &config);
            let polls = Arc::new(AtomicUsize::new(0));
            let (mut sink, mut stream) = (Counted(sink, polls.clone()), Counted(stream, polls.clone()));
            script.window(10);
            let receiving = tokio::spawn(async move { stream.next().await.unwrap().unwrap() });
            let sending = tokio::spawn(async move { sink.send(Message::binary(vec![7; 100_000])).await });
            sleep(Duration::from_secs(3600)).await;
            let stalled = polls.load(Ordering::Relaxed);
            println!("{role:?}: {stalled} polls in an hour");
            assert!(stalled <= 20 + 2 * looks, "{stalled} polls of a transport that does nothing");
            script.peer_sends(to(role, TEXT, b"m"));
            assert_eq!(within(receiving).await.unwrap(), Message::text("m"));
            script.window(usize::MAX);
            within(sending).await.unwrap().unwrap();
        }
    }
}

// What comes behind the peer's Close is not parsed any more, and what is queued before the answer does not leave.
#[tokio::test(start_paused = true)]
async fn two_tasks_do_not_wake_each_other_while_the_answer_to_a_close_waits() {
    for role in ROLES {
        for holds_flush in [false, true] {
            let ((sink, stream), script) = halves(role, &quiet());
            let polls = Arc::new(AtomicUsize::new(0));
            let (mut sink, mut stream) = (Counted(sink, polls.clone()), Counted(stream, polls.clone()));
            if holds_flush {
                script.hold_flush(true);
            } else {
                script.window(10);
            }
            let receiving = tokio::spawn(async move { stream.next().await });
            let sending = tokio::spawn(async move { sink.send(Message::binary(vec![7; 100_000])).await });
            sleep(Duration::from_secs(1)).await;
            script.peer_sends([to(role, CLOSE, b""), to(role, TEXT, b"behind the Close")].concat());
            let received = within(receiving).await.unwrap();
            if !holds_flush {
                assert!(matches!(received, Some(Err(Error::CloseTimeout))), "{role:?}: {received:?}");
            }
            let sent = within(sending).await.unwrap();
            let polled = polls.load(Ordering::Relaxed);
            println!("{role:?}: {polled} polls, received {received:?}, sent {sent:?}");
            assert!(polled <= 40, "{polled} polls while the answer waits");
        }
    }
}

/// Sends messages of many lengths, and receives as many.
async fn both_ways<S>(socket: WebSocket<S>) -> usize
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sink, mut stream) = StreamExt::split(socket);
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        for number in 0.. {
            let len = [1, 100, 5_000, 70_000, 200_000][number % 5];
            sink.send(Message::binary(pattern(len))).await.unwrap();
            sent += len;
            if sent >= 1 << 20 {
                sink.send(Message::text("last")).await.unwrap();
                return sink;
            }
        }
        sink
    });
    let receiving = tokio::spawn(async move {
        let mut received = 0;
        while let Some(message) = stream.next().await {
            let message = message.unwrap();
            if message == Message::text("last") {
                return (received, stream);
            }
            assert!(message.payload()[..] == pattern(message.payload().len()));
            received += message.payload().len();
        }
        panic!("an end before the last message");
    });
    let mut sink = sending.await.unwrap();
    let (received, mut stream) = receiving.await.unwrap();
    let closing = tokio::spawn(async move { sink.close().await });
    assert!(stream.next().await.is_none(), "the last message was behind it all");
    closing.await.unwrap().unwrap();
    received
}

async fn a_megabyte_each_way() {
    for high_water_mark in [1000, 64 << 10] {
        let (near, far) = duplex(64 << 10);
        let config = Config::default().high_water_mark(high_water_mark);
        let near = tokio::spawn(both_ways(over(Role::Client, near, &config)));
        let far = tokio::spawn(both_ways(over(Role::Server, far, &config)));
        assert!(within(near).await.unwrap() >= 1 << 20);
        assert!(within(far).await.unwrap() >= 1 << 20);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn both_pass_a_megabyte_each_way_on_one_thread() {
    for _ in 0..5 {
        a_megabyte_each_way().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_pass_a_megabyte_each_way_on_many_threads() {
    for _ in 0..20 {
        a_megabyte_each_way().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_goes_on_when_the_sink_waited_once_and_is_silent() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &Config::default());
        script.window(5);
        let receiving = tokio::spawn(async move {
            for number in 0..1000_u32 {
                let message = stream.next().await.unwrap().unwrap();
                assert_eq!(message.payload()[..], number.to_be_bytes());
            }
        });
        tokio::task::yield_now().await;
        let sending = tokio::spawn(async move {
            let mut send = sink.send(Message::text("blocked"));
            let first = std::future::poll_fn(|cx| Poll::Ready(send.poll_unpin_once(cx))).await;
            assert!(first.is_pending());
            std::future::pending::<()>().await;
        });
        for number in 0..1000_u32 {
            script.peer_sends(to(role, BINARY, &number.to_be_bytes()));
            if number % 10 == 0 {
                tokio::task::yield_now().await;
            }
        }
        within(receiving).await.unwrap();
        sending.abort();
    }
}

trait PollOnce: Future + Unpin {
    fn poll_unpin_once(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(self).poll(cx)
    }
}

impl<F: Future + Unpin> PollOnce for F {}

// CM-52
#[tokio::test(start_paused = true)]
async fn stream_fails_when_the_peer_is_gone_though_a_sink_waited_last() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &Config::default().write_timeout(None));
        script.window(0);
        let receiving = tokio::spawn(async move { stream.next().await });
        sleep(Duration::from_secs(1)).await;
        let sending = tokio::spawn(async move {
            let mut send = sink.send(Message::text("blocked"));
            assert!(std::future::poll_fn(|cx| Poll::Ready(send.poll_unpin_once(cx))).await.is_pending());
            std::future::pending::<()>().await;
        });
        sleep(Duration::from_secs(1)).await;
        script.window_unannounced(usize::MAX);
        let begin = Instant::now();
        let failure =
            timeout(Duration::from_secs(120), receiving).await.expect("the timer forgot the stream");
        assert!(matches!(failure.unwrap(), Some(Err(Error::DeadPeer))));
        assert!(begin.elapsed() <= Duration::from_secs(70), "{:?}", begin.elapsed());
        sending.abort();
    }
}

// CM-52
#[tokio::test(start_paused = true)]
async fn sink_fails_when_the_peer_is_gone_though_the_stream_waited_last() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &Config::default().ping_interval(None));
        script.window(0);
        let sending = tokio::spawn(async move { sink.send(Message::text("blocked")).await });
        sleep(Duration::from_secs(1)).await;
        let receiving = tokio::spawn(async move {
            assert!(std::future::poll_fn(|cx| Poll::Ready(stream.poll_next_unpin(cx))).await.is_pending());
            std::future::pending::<()>().await;
        });
        let failure = timeout(Duration::from_secs(180), sending).await.expect("the timer forgot the sink");
        assert!(matches!(failure.unwrap(), Err(Error::WriteTimeout)));
        receiving.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn stream_ends_when_the_sink_closes_and_the_peer_never_answers() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &quiet());
        let receiving = tokio::spawn(async move { (stream.next().await, stream) });
        sleep(Duration::from_secs(1)).await;
        tokio::spawn(async move {
            sink.close().await.unwrap();
            std::future::pending::<()>().await;
        });
        let begin = Instant::now();
        let (end, _) = timeout(Duration::from_secs(60), receiving).await.expect("no close timeout").unwrap();
        assert!(matches!(end, Some(Err(_))), "{end:?}");
        assert!(begin.elapsed() >= Duration::from_secs(1));
        assert_eq!(
            frames(role, &script.written()),
            [Frame(CLOSE, close_payload(u16::from(CloseCode::NORMAL), ""))]
        );
        assert!(script.is_dropped());
    }
}

#[tokio::test(start_paused = true)]
async fn sink_that_waits_is_told_when_the_stream_meets_the_end() {
    for role in ROLES {
        let ((mut sink, mut stream), script) = halves(role, &quiet());
        script.window(0);
        let receiving = tokio::spawn(async move { stream.next().await });
        sleep(Duration::from_secs(1)).await;
        let sending = tokio::spawn(async move { sink.send(Message::text("blocked")).await });
        sleep(Duration::from_secs(1)).await;
        script.read_fails(std::io::ErrorKind::ConnectionReset);
        let end = timeout(Duration::from_secs(60), receiving).await.expect("the stream was forgotten");
        assert!(matches!(end.unwrap(), Some(Err(Error::Io(_)))));
        let end = timeout(Duration::from_secs(60), sending).await.expect("the sink was forgotten");
        assert!(end.unwrap().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn stream_is_told_when_the_socket_is_aborted_elsewhere() {
    for role in ROLES {
        let (socket, _script) = connect(role);
        let shared = Arc::new(std::sync::Mutex::new(socket));
        let socket = Arc::clone(&shared);
        let receiving =
            tokio::spawn(
                async move { std::future::poll_fn(|cx| socket.lock().unwrap().poll_receive(cx)).await },
            );
        sleep(Duration::from_secs(1)).await;
        shared.lock().unwrap().abort();
        let end = timeout(Duration::from_secs(60), receiving).await.expect("the stream was forgotten");
        assert!(end.unwrap().is_err());
        assert!(shared.lock().unwrap().close_report().is_some());
    }
}
