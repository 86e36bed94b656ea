//! What large messages leave behind, for the next ones: the thread's, and bounded.
//!
//! Without it each would cost a handful of allocations, and an allocator that gives memory back to the system and fetches it
//! again costs more than all else that is done for a message.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use bytes::Bytes;

use super::output::Apart;
use super::receive::Unusual;
use crate::config::COPY_UP_TO;

struct Spare {
    /// Empty; the newest last.
    payloads: Vec<Vec<u8>>,
    /// How many octets they have room for together.
    payloads_len: usize,
    /// As good as new.
    #[expect(clippy::vec_box, reason = "the boxes themselves are what is spared")]
    unusual: Vec<Box<Unusual>>,
    /// As good as new.
    #[expect(clippy::vec_box, reason = "the boxes themselves are what is spared")]
    apart: Vec<Box<Apart>>,
}

#[cfg(feature = "std")]
std::thread_local! {
    static SPARE: core::cell::RefCell<Spare> = const {
        core::cell::RefCell::new(Spare::NOTHING)
    };
}

/// Does nothing on a thread that is ending: it keeps nothing any more.
#[cfg(feature = "std")]
fn with<T>(run: impl FnOnce(&mut Spare) -> T) -> Option<T> {
    SPARE.try_with(|spare| run(&mut spare.borrow_mut())).ok()
}

#[cfg(not(feature = "std"))]
fn with<T>(_: impl FnOnce(&mut Spare) -> T) -> Option<T> {
    None
}

/// An empty buffer with room in this range, if there is one: with exactly the most room asked for, or else the smallest.
pub(super) fn take_payload(room: RangeInclusive<usize>) -> Option<Vec<u8>> {
    if *room.end() < PAYLOAD_MIN_LEN || *room.start() > PAYLOAD_MAX_LEN {
        return None;
    }
    with(|spare| spare.take_payload(room)).flatten()
}

/// A payload of its own with these octets, and no room for more.
pub(super) fn copy_of(octets: &[u8]) -> Vec<u8> {
    copy_with_room(octets, octets.len())
}

/// A payload of its own with these octets, for what is not kept: it may have room for a quarter more.
pub(super) fn short_lived_copy_of(octets: &[u8]) -> Vec<u8> {
    copy_with_room(octets, octets.len() + octets.len() / 4)
}

fn copy_with_room(octets: &[u8], most: usize) -> Vec<u8> {
    let len = octets.len();
    let mut payload = take_payload(len..=most).unwrap_or_else(|| Vec::with_capacity(len));
    payload.extend_from_slice(octets);
    payload
}

/// Keeps a buffer that is no longer needed. The oldest make way for it.
pub(super) fn give_payload(payload: Vec<u8>) {
    if (PAYLOAD_MIN_LEN..=PAYLOAD_MAX_LEN).contains(&payload.capacity()) {
        with(|spare| spare.give_payload(payload));
    }
}

/// Keeps the memory of a payload that is no longer needed, unless somebody else has a share in it.
pub(super) fn give_shared(payload: Bytes) {
    if let Ok(unique) = payload.try_into_mut() {
        give_payload(unique.into());
    }
}

pub(super) fn take_unusual() -> Box<Unusual> {
    with(|spare| spare.unusual.pop()).flatten().unwrap_or_default()
}

/// Keeps a box. It has to be as good as new.
pub(super) fn give_unusual(unusual: Box<Unusual>) {
    debug_assert!(unusual.is_as_new());
    with(|spare| give(&mut spare.unusual, unusual));
}

pub(super) fn take_apart() -> Box<Apart> {
    with(|spare| spare.apart.pop()).flatten().unwrap_or_default()
}

/// Keeps a box. It has to be as good as new.
pub(super) fn give_apart(apart: Box<Apart>) {
    with(|spare| give(&mut spare.apart, apart));
}

/// Frees all that is kept: for a thread that has one connection, and may wait for it for long.
#[cfg(feature = "std")]
pub(crate) fn free_all() {
    with(|spare| *spare = Spare::NOTHING);
}

fn give<T>(boxes: &mut Vec<Box<T>>, spare: Box<T>) {
    if boxes.len() < BOXES {
        boxes.push(spare);
    }
}

impl Spare {
    #[cfg(feature = "std")]
    const NOTHING: Self =
        Self { payloads: Vec::new(), payloads_len: 0, unusual: Vec::new(), apart: Vec::new() };

    fn take_payload(&mut self, room: RangeInclusive<usize>) -> Option<Vec<u8>> {
        let mut found: Option<(usize, usize)> = None;
        for (index, payload) in self.payloads.iter().enumerate().rev() {
            let capacity = payload.capacity();
            if capacity == *room.end() {
                found = Some((index, capacity));
                break;
            }
            if room.contains(&capacity) && found.is_none_or(|(_, least)| capacity < least) {
                found = Some((index, capacity));
            }
        }
        let (index, capacity) = found?;
        self.payloads_len -= capacity;
        Some(self.payloads.remove(index))
    }

    fn give_payload(&mut self, mut payload: Vec<u8>) {
        payload.clear();
        self.payloads_len += payload.capacity();
        self.payloads.push(payload);
        while self.payloads_len > PAYLOADS_LEN {
            self.payloads_len -= self.payloads.remove(0).capacity();
        }
    }
}

/// The smallest payload that is kept, one that would not be copied, …
const PAYLOAD_MIN_LEN: usize = COPY_UP_TO + 1;
/// … the largest, …
const PAYLOAD_MAX_LEN: usize = PAYLOADS_LEN / 2;
/// … and how many octets all of them have room for.
const PAYLOADS_LEN: usize = 2 << 20;

/// How many boxes of each kind are kept: together below 128 KiB.
const BOXES: usize = 64;

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::thread;

    use super::*;

    /// What is kept is the thread's.
    fn on_a_thread(run: impl FnOnce() + Send + 'static) {
        thread::spawn(run).join().expect("the test fails there");
    }

    fn kept() -> (usize, usize) {
        with(|spare| (spare.payloads.len(), spare.payloads_len)).expect("the thread is not ending")
    }

    #[test]
    fn a_buffer_of_exactly_the_size_is_preferred_and_else_the_smallest_that_will_do() {
        on_a_thread(|| {
            for kibioctets in [64, 40, 100, 48] {
                give_payload(Vec::with_capacity(kibioctets << 10));
            }
            let capacity = |room| take_payload(room).map(|payload| payload.capacity());
            assert_eq!(capacity(30 << 10..=100 << 10), Some(100 << 10));
            assert_eq!(capacity(30 << 10..=99 << 10), Some(40 << 10));
            assert_eq!(capacity(65 << 10..=99 << 10), None);
            assert_eq!(kept(), (2, (64 + 48) << 10));
            assert_eq!(short_lived_copy_of(&[7; 60 << 10]).capacity(), 64 << 10);
            assert_eq!(copy_of(&[7; 47 << 10]).capacity(), 47 << 10);
            assert_eq!(kept(), (1, 48 << 10));
            free_all();
            assert_eq!(kept(), (0, 0));
        });
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_make_way() {
        on_a_thread(|| {
            give_payload(Vec::with_capacity(PAYLOAD_MIN_LEN - 1));
            give_payload(Vec::with_capacity(PAYLOAD_MAX_LEN + 1));
            assert_eq!(kept(), (0, 0));
            for _ in 0..5 {
                give_payload(vec![7; PAYLOAD_MIN_LEN]);
            }
            for _ in 0..2 {
                give_payload(Vec::with_capacity(PAYLOAD_MAX_LEN));
            }
            assert_eq!(kept(), (2, PAYLOADS_LEN));
            for _ in 0..BOXES + 3 {
                give_apart(Box::default());
                give_unusual(Box::default());
            }
            with(|spare| assert_eq!((spare.apart.len(), spare.unusual.len()), (BOXES, BOXES)));
        });
    }

    #[test]
    fn a_payload_is_kept_only_when_nobody_else_has_a_share_in_it() {
        on_a_thread(|| {
            let payload = Bytes::from(vec![7; PAYLOAD_MIN_LEN]);
            give_shared(payload.clone());
            assert_eq!(kept().0, 0);
            assert_eq!(payload, vec![7; PAYLOAD_MIN_LEN]);
            give_shared(payload);
            assert_eq!(kept(), (1, PAYLOAD_MIN_LEN));
            assert_eq!(take_payload(1..=PAYLOAD_MIN_LEN), Some(Vec::new()));

            give_shared(Bytes::from_static(&[7; PAYLOAD_MIN_LEN]));
            give_shared(Bytes::from_owner([7; PAYLOAD_MIN_LEN]));
            assert_eq!(kept().0, 0);
        });
    }
}
