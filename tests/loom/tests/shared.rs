//! The arguments that the comments of `shared.rs` and `waiters.rs` make, each as a model that loom runs in every
//! interleaving, with every value that memory may show. Who is forgotten waits for ever, which loom calls a deadlock.

mod every_interleaving;
#[allow(dead_code, reason = "the models need not call everything")]
#[path = "../../../src/stream/shared.rs"]
mod shared;
#[allow(dead_code, reason = "the models need not call everything")]
#[path = "../../../src/stream/sync.rs"]
mod sync;
#[allow(dead_code, reason = "the models need not call everything")]
#[path = "../../../src/stream/waiters.rs"]
mod waiters;

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};

use every_interleaving::{every_interleaving, with_interruptions};
use loom::future::block_on;
use loom::sync::atomic::AtomicBool;
use loom::thread;
use shared::{Observed, Output, Shared};
use waiters::{Party, SenderPlace, Wakeups};

/// What is read for the receiver: so many messages, and so many of them ahead by a driver.
#[derive(Debug, Default)]
struct Receive {
    came: u32,
    ahead: u32,
}

/// What is queued and written, in messages.
#[derive(Debug)]
struct Side {
    encoder: Option<Encoder>,
    queued: u32,
    written: u64,
    closed: bool,
}

/// Which messages it has seen, in their order.
type Encoder = Vec<u8>;

impl Output for Side {
    type Encoder = Encoder;

    fn encoder(&mut self) -> &mut Option<Encoder> {
        &mut self.encoder
    }

    fn parses_input(&self) -> bool {
        !self.closed
    }

    fn observe(&self) -> Observed {
        Observed { written: (self.written, false), standing: (0, self.closed, false) }
    }
}

impl Side {
    fn write(&mut self) {
        self.written += u64::from(self.queued);
        self.queued = 0;
    }
}

type State = Shared<Receive, Side>;

fn state(queued: u32) -> Arc<State> {
    let side = Side { encoder: Some(Vec::new()), queued, written: 0, closed: false };
    Arc::new(Shared::new(Receive::default(), side))
}

/// Looks as the receiver does, and parks before: `None` when it found nothing.
fn poll_receiver<T>(
    state: &State,
    cx: &Context<'_>,
    look: impl FnOnce(&mut Receive, &mut Side) -> Option<T>,
) -> Poll<T> {
    let waiters = state.waiters();
    drop(waiters.unpark_receiver());
    let wakeups = Wakeups::default();
    let own;
    let mut receive = state.lock_receive();
    waiters.park_receiver(cx.waker().clone());
    let mut output = state.lock_output_by(Party::Receiver, &wakeups);
    let Some(found) = look(&mut receive, &mut output) else { return Poll::Pending };
    own = waiters.unpark_receiver();
    drop((output, receive, own));
    Poll::Ready(found)
}

/// Looks as a sender does, and parks before.
fn poll_sender<T>(
    state: &State,
    place: &mut SenderPlace<'_>,
    cx: &Context<'_>,
    look: impl FnOnce(&mut Receive, &mut Side) -> Option<T>,
) -> Poll<T> {
    let wakeups = Wakeups::default();
    place.park(cx.waker());
    let found = {
        let mut receive = state.lock_receive();
        let mut output = state.lock_output_by(place.party(), &wakeups);
        look(&mut receive, &mut output)
    };
    let Some(found) = found else { return Poll::Pending };
    place.unpark();
    Poll::Ready(found)
}

/// Looks as the driver does, and parks before.
fn poll_driver<T>(
    state: &State,
    cx: &Context<'_>,
    look: impl FnOnce(&mut Receive, &mut Side, &Wakeups) -> Option<T>,
) -> Poll<T> {
    state.waiters().park_driver(cx.waker());
    let wakeups = Wakeups::default();
    let found = {
        let mut receive = state.lock_receive();
        let mut output = state.lock_output_by(Party::Driver, &wakeups);
        look(&mut receive, &mut output, &wakeups)
    };
    let Some(found) = found else { return Poll::Pending };
    drop(state.waiters().unpark_driver());
    Poll::Ready(found)
}

fn feed(state: &State) {
    state.lock_to_append().queued += 1;
    state.waiters().wake_readers();
}

#[test]
fn receiver_that_parks_sees_what_is_fed_or_is_woken() {
    every_interleaving(|| {
        let state = state(0);
        let receiver = Arc::clone(&state);
        let receiver = thread::spawn(move || {
            block_on(poll_fn(|cx| {
                poll_receiver(&receiver, cx, |_, side| {
                    side.write();
                    (side.written == 1).then_some(())
                })
            }));
        });
        feed(&state);
        receiver.join().unwrap();
    });
}

#[test]
fn senders_that_wait_for_room_see_it_or_are_woken() {
    with_interruptions(3, || {
        let state = state(1);
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let state = Arc::clone(&state);
                thread::spawn(move || {
                    let mut place = SenderPlace::new(state.waiters());
                    block_on(poll_fn(|cx| {
                        poll_sender(&state, &mut place, cx, |_, side| (side.queued == 0).then_some(()))
                    }));
                })
            })
            .collect();
        state.lock_output().write();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn sender_waits_on_when_another_gives_up_its_place() {
    with_interruptions(3, || {
        let state = state(1);
        let sender = Arc::clone(&state);
        let sender = thread::spawn(move || {
            let mut place = SenderPlace::new(sender.waiters());
            block_on(poll_fn(|cx| {
                poll_sender(&sender, &mut place, cx, |_, side| (side.queued == 0).then_some(()))
            }));
        });
        let gives_up = Arc::clone(&state);
        let gives_up = thread::spawn(move || {
            let mut place = SenderPlace::new(gives_up.waiters());
            let cx = Context::from_waker(Waker::noop());
            let _ = poll_sender(&gives_up, &mut place, &cx, |_, side| (side.queued == 0).then_some(()));
        });
        state.lock_output().write();
        sender.join().unwrap();
        gives_up.join().unwrap();

        let silent = Arc::new(Silent);
        SenderPlace::new(state.waiters()).park(&Waker::from(Arc::clone(&silent)));
        assert_eq!(Arc::strong_count(&silent), 1, "who is gone is not registered");
    });
}

struct Silent;

impl Wake for Silent {
    fn wake(self: Arc<Self>) {}
}

/// What it is told beside the lock it may see late, but not after it has looked under the lock and found nothing to wait for.
#[test]
fn receiver_that_looks_for_input_learns_that_there_is_no_more_to_parse() {
    every_interleaving(|| {
        let state = state(0);
        let receiver = Arc::clone(&state);
        let receiver = thread::spawn(move || {
            block_on(poll_fn(|cx| {
                loop {
                    if !receiver.parses_input() {
                        return Poll::Ready(());
                    }
                    match poll_receiver(&receiver, cx, |_, side| side.closed.then_some(())) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(()) => assert!(!receiver.parses_input()),
                    }
                }
            }));
        });
        state.lock_output().closed = true;
        receiver.join().unwrap();
    });
}

/// What a sender has read ahead is under the receiver's lock, under which the receiver parks.
#[test]
fn receiver_that_parks_sees_what_was_read_ahead_or_is_woken() {
    every_interleaving(|| {
        let state = state(0);
        let receiver = Arc::clone(&state);
        let receiver = thread::spawn(move || {
            block_on(poll_fn(|cx| {
                poll_receiver(&receiver, cx, |receive, _| (receive.came == 1).then_some(()))
            }));
        });
        let wakeups = Wakeups::default();
        {
            let mut receive = state.lock_receive();
            let _output = state.lock_output_by(Party::Passer, &wakeups);
            receive.came = 1;
            state.waiters().take_receiver(Party::Passer, &wakeups);
        }
        drop(wakeups);
        receiver.join().unwrap();
    });
}

/// A driver with room for one message pushes two, and the receiver pops them: each stops where the other has to go on.
#[test]
fn receiver_and_driver_see_messages_and_room_or_are_woken() {
    with_interruptions(3, || {
        let state = state(0);
        let driver = Arc::clone(&state);
        let driver = thread::spawn(move || {
            for _ in 0..2 {
                block_on(poll_fn(|cx| {
                    poll_driver(&driver, cx, |receive, _, wakeups| {
                        if receive.ahead > 0 {
                            return None;
                        }
                        receive.ahead += 1;
                        driver.waiters().take_receiver(Party::Driver, wakeups);
                        Some(())
                    })
                }));
            }
        });
        for _ in 0..2 {
            block_on(poll_fn(|cx| {
                let wakeups = Wakeups::default();
                {
                    let mut receive = state.lock_receive();
                    if receive.ahead > 0 {
                        receive.ahead -= 1;
                        state.waiters().take_driver(Party::Receiver, &wakeups);
                        return Poll::Ready(());
                    }
                }
                poll_receiver(&state, cx, |receive, _| (receive.ahead > 0).then_some(())).map(|()| {
                    let mut receive = state.lock_receive();
                    receive.ahead -= 1;
                    state.waiters().take_driver(Party::Receiver, &wakeups);
                })
            }));
        }
        driver.join().unwrap();
    });
}

#[test]
fn driver_that_parks_sees_what_is_fed_or_is_woken() {
    every_interleaving(|| {
        let state = state(0);
        let driver = Arc::clone(&state);
        let driver = thread::spawn(move || {
            block_on(poll_fn(|cx| {
                poll_driver(&driver, cx, |_, side, _| {
                    side.write();
                    (side.written == 1).then_some(())
                })
            }));
        });
        feed(&state);
        driver.join().unwrap();
    });
}

/// By the end, by what a sender has read ahead, and by the receiver when it goes.
#[test]
fn driver_that_parks_sees_every_change_or_is_woken() {
    let changes: [fn(&State); 3] = [
        |state| state.lock_output().closed = true,
        |state| {
            let wakeups = Wakeups::default();
            let mut receive = state.lock_receive();
            let _output = state.lock_output_by(Party::Passer, &wakeups);
            receive.came = 1;
            state.waiters().take_readers(Party::Passer, &wakeups);
        },
        |state| state.set_receiver_gone(),
    ];
    for change in changes {
        every_interleaving(move || {
            let state = state(0);
            let driver = Arc::clone(&state);
            let driver = thread::spawn(move || {
                block_on(poll_fn(|cx| {
                    poll_driver(&driver, cx, |receive, side, _| {
                        (side.closed || receive.came == 1 || driver.receiver_gone()).then_some(())
                    })
                }));
            });
            change(&state);
            driver.join().unwrap();
        });
    }
}

#[test]
fn receiver_that_parks_sees_the_end_or_is_woken() {
    every_interleaving(|| {
        let state = state(0);
        let receiver = Arc::clone(&state);
        let receiver = thread::spawn(move || {
            block_on(poll_fn(|cx| poll_receiver(&receiver, cx, |_, side| side.closed.then_some(()))));
        });
        state.lock_output().closed = true;
        receiver.join().unwrap();
    });
}

/// Takes the encoder out for a message, or waits for it.
fn compress(state: &State, message: u8) {
    let mut place = SenderPlace::new(state.waiters());
    block_on(poll_fn(|cx| {
        loop {
            if let Some(mut taken) = state.take_encoder(state.lock_to_append()) {
                taken.encoder().push(message);
                return Poll::Ready(());
            }
            place.park(cx.waker());
            if state.lock_to_append().encoder().is_none() {
                return Poll::Pending;
            }
        }
    }));
}

#[test]
fn encoder_that_was_taken_out_comes_back_to_whoever_waits_for_it() {
    with_interruptions(3, || {
        let state = state(0);
        let senders: Vec<_> = (1..=2)
            .map(|message| {
                let state = Arc::clone(&state);
                thread::spawn(move || compress(&state, message))
            })
            .collect();
        compress(&state, 3);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let mut output = state.lock_to_append();
        let encoder = output.encoder().as_mut().expect("nobody has it any more");
        encoder.sort_unstable();
        assert_eq!(*encoder, [1, 2, 3], "one encoder has seen all messages");
    });
}

/// Its work is the senders' from there on: one that waits is told, whenever it parks.
#[test]
fn closing_sender_sees_that_the_receiver_is_gone_or_is_woken() {
    every_interleaving(|| {
        let state = state(0);
        let sender = Arc::clone(&state);
        let sender = thread::spawn(move || {
            let mut place = SenderPlace::new(sender.waiters());
            block_on(poll_fn(|cx| {
                poll_sender(&sender, &mut place, cx, |_, _| sender.receiver_gone().then_some(()))
            }));
        });
        state.set_receiver_gone();
        sender.join().unwrap();
    });
}

/// A transport that remembers the one waker from before, and takes no lock of its own.
#[test]
fn waiters_see_that_the_transport_is_ready_or_are_woken_by_it() {
    with_interruptions(3, || {
        let state = state(0);
        let ready = Arc::new(AtomicBool::new(false));
        let receiver = {
            let (state, ready) = (Arc::clone(&state), Arc::clone(&ready));
            thread::spawn(move || {
                block_on(poll_fn(|cx| {
                    poll_receiver(&state, cx, |_, _| ready.load(Ordering::Relaxed).then_some(()))
                }));
            })
        };
        let sender = {
            let (state, ready) = (Arc::clone(&state), Arc::clone(&ready));
            thread::spawn(move || {
                let mut place = SenderPlace::new(state.waiters());
                block_on(poll_fn(|cx| {
                    poll_sender(&state, &mut place, cx, |_, _| ready.load(Ordering::Relaxed).then_some(()))
                }));
            })
        };
        ready.store(true, Ordering::Relaxed);
        state.waker().wake_by_ref();
        receiver.join().unwrap();
        sender.join().unwrap();
    });
}

/// The executor's code: called by `wake`, and when the last of the wakers is dropped, it takes every lock there is.
struct LocksAll(Mutex<Weak<State>>);

impl LocksAll {
    fn waker(state: &Arc<State>) -> Waker {
        Waker::from(Arc::new(Self(Mutex::new(Arc::downgrade(state)))))
    }
}

impl Wake for LocksAll {
    fn wake(self: Arc<Self>) {}
}

impl Drop for LocksAll {
    fn drop(&mut self) {
        let Some(state) = self.0.get_mut().unwrap().upgrade() else { return };
        drop(state.lock_receive());
        drop(state.lock_output());
        // A half that goes, and a sender with its place.
        state.set_receiver_gone();
        SenderPlace::new(state.waiters()).park(Waker::noop());
    }
}

/// Parks one of each that does nothing but to take all locks when it is woken, or its waker is dropped.
fn park_lockers(state: &Arc<State>) -> SenderPlace<'_> {
    state.waiters().park_receiver(LocksAll::waker(state));
    state.waiters().park_driver(&LocksAll::waker(state));
    let mut place = SenderPlace::new(state.waiters());
    place.park(&LocksAll::waker(state));
    place
}

/// What may call wakers or drop them.
type Way = fn(&State, &Arc<State>);

#[test]
fn wakers_are_called_and_dropped_when_nothing_is_locked() {
    let ways: [(&str, Way); 12] = [
        ("output changed by a passer", |state, _| state.lock_output().closed = true),
        ("output changed under the receiver's lock", |state, _| {
            let wakeups = Wakeups::default();
            let _receive = state.lock_receive();
            state.lock_output_by(Party::Passer, &wakeups).closed = true;
        }),
        ("encoder back", |state, _| drop(state.take_encoder(state.lock_to_append()))),
        ("a message fed", |state, _| feed(state)),
        ("the transport", |state, _| state.waker().wake_by_ref()),
        ("receiver gone", |state, _| state.set_receiver_gone()),
        ("receiver parked again", |state, _| state.waiters().park_receiver(Waker::noop().clone())),
        ("driver parked again", |state, _| state.waiters().park_driver(Waker::noop())),
        ("driver unparked", |state, _| drop(state.waiters().unpark_driver())),
        ("receiver unparked", |state, _| drop(state.waiters().unpark_receiver())),
        ("read ahead", |state, _| {
            let wakeups = Wakeups::default();
            let _receive = state.lock_receive();
            let _output = state.lock_output_by(Party::Passer, &wakeups);
            state.waiters().take_readers(Party::Passer, &wakeups);
        }),
        ("sender parked again", |state, locked| {
            let mut place = SenderPlace::new(state.waiters());
            place.park(&LocksAll::waker(locked));
            place.park(Waker::noop());
            place.park(&LocksAll::waker(locked));
            place.unpark();
            place.park(&LocksAll::waker(locked));
        }),
    ];
    for (name, way) in ways {
        println!("{name}:");
        with_interruptions(1, move || {
            let state = state(0);
            let other = Arc::clone(&state);
            let mut place = park_lockers(&state);
            let other = thread::spawn(move || other.lock_output().written += 1);
            way(&state, &state);
            place.park(Waker::noop());
            other.join().unwrap();
        });
    }
}

#[test]
fn no_lock_and_no_flag_is_hidden_from_the_models() {
    let [shared, waiters] =
        [include_str!("../../../src/stream/shared.rs"), include_str!("../../../src/stream/waiters.rs")];
    let seen: Vec<_> =
        shared.lines().chain(waiters.lines()).filter(|line| line.contains("std::sync")).collect();
    let harmless = ["use std::sync::Arc;", "use std::sync::atomic::Ordering;"];
    assert!(seen.iter().all(|line| harmless.contains(line)), "{seen:?}: take it from sync.rs");
}
