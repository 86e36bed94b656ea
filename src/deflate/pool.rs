//! The states that compress and decompress: a few for each thread, lent for as long as a message takes.
//!
//! A state is large and a saved window small, so connections keep the window, and any state can be primed with it. One
//! that still is as its connection left it need not be: a busy connection finds it again by its stamp, and has the
//! speed of a state of its own for as long as it stays among the last few of its thread.

use std::cell::RefCell;
use std::mem;
use std::sync::{Mutex, PoisonError};

use super::config::MAX_WINDOW_BITS;

use zlib_rs::{Deflate, DeflateConfig, Inflate};

/// Where one direction of one connection stands. A state that has it continues just there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    direction: u64,
    messages: u64,
}

impl Stamp {
    /// One that no state has.
    pub(super) fn new() -> Self {
        // Not every platform has an atomic of 64 bits, and one of 32 would come round.
        static DIRECTIONS: Mutex<u64> = Mutex::new(0);
        let mut directions = DIRECTIONS.lock().unwrap_or_else(PoisonError::into_inner);
        *directions += 1;
        Self { direction: *directions, messages: 0 }
    }

    /// The direction has gone on: states with the stamp from before are no longer of use to it.
    pub(super) fn advance(&mut self) {
        self.messages += 1;
    }
}

/// What a compressing state was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) level: u8,
    pub(super) memory_level: u8,
    pub(super) window_bits: u8,
}

/// A state that compresses.
pub(super) struct Deflater {
    /// Boxed, so that a connection without one has no room for it.
    pub(super) state: Box<Deflate>,
    pub(super) stamp: Option<Stamp>,
    key: Key,
    is_fresh: bool,
}

impl Deflater {
    pub(super) fn new(key: Key) -> Self {
        let state = Deflate::new_with_config(DeflateConfig {
            level: i32::from(key.level),
            // A negative number means raw DEFLATE, without a zlib header.
            window_bits: -i32::from(key.window_bits),
            mem_level: i32::from(key.memory_level),
            ..DeflateConfig::default()
        });
        Self { state: Box::new(state), stamp: None, key, is_fresh: true }
    }

    /// Makes `window` the only thing that can be referred to, unless the state stands just there.
    pub(super) fn begin(&mut self, stamp: Stamp, window: &[u8]) {
        if self.stamp.take() == Some(stamp) {
            return;
        }
        if !self.is_fresh {
            self.state.reset();
        }
        self.is_fresh = false;
        if !window.is_empty() && self.state.set_dictionary(window).is_err() {
            // An empty window is always right: it only compresses less.
            self.state.reset();
        }
    }
}

/// A state that decompresses, whatever the window.
pub(super) struct Inflater {
    /// Boxed as above.
    pub(super) state: Box<Inflate>,
    pub(super) stamp: Option<Stamp>,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self { state: Box::new(Inflate::new(false, MAX_WINDOW_BITS)), stamp: None }
    }

    /// Makes these pieces of a window, the oldest first, the only thing that can be referred to.
    pub(super) fn prime(&mut self, window: &[&[u8]]) {
        self.state.reset(false);
        for piece in window.iter().filter(|piece| !piece.is_empty()) {
            // INVARIANT: raw DEFLATE takes a dictionary wherever no block is open.
            self.state.set_dictionary(piece).expect("the state has just been reset");
        }
    }
}

/// Room for what comes out of a state, initialised throughout.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) octets: Vec<u8>,
}

impl Scratch {
    /// At least `len` octets.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.octets.len() < len {
            self.octets.resize(len, 0);
        }
        &mut self.octets
    }
}

struct Pool {
    /// The one that was used last stands at the end.
    deflaters: Vec<Deflater>,
    inflaters: Vec<Inflater>,
    scratch: Scratch,
}

thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool { deflaters: Vec::new(), inflaters: Vec::new(), scratch: Scratch { octets: Vec::new() } }) };
}

/// A compressing state: the one with the stamp if there is one, else one that has to be primed.
pub(super) fn take_deflater(key: Key, stamp: Stamp) -> Deflater {
    with_pool(|pool| take(&mut pool.deflaters, stamp, |state| (state.stamp, state.key == key)))
        .unwrap_or_else(|| Deflater::new(key))
}

pub(super) fn give_deflater(state: Deflater) {
    with_pool(|pool| give(&mut pool.deflaters, state));
}

/// A decompressing state: the one with the stamp if there is one, else one that has to be primed.
pub(super) fn take_inflater(stamp: Stamp) -> Inflater {
    with_pool(|pool| take(&mut pool.inflaters, stamp, |state| (state.stamp, true)))
        .unwrap_or_else(Inflater::new)
}

pub(super) fn give_inflater(state: Inflater) {
    with_pool(|pool| give(&mut pool.inflaters, state));
}

pub(super) fn take_scratch() -> Scratch {
    with_pool(|pool| mem::take(&mut pool.scratch))
}

pub(super) fn give_scratch(scratch: Scratch) {
    if scratch.octets.len() <= MAX_SCRATCH_LEN {
        with_pool(|pool| pool.scratch = scratch);
    }
}

/// The default when the thread is ending and has no pool any more.
fn with_pool<T: Default>(run: impl FnOnce(&mut Pool) -> T) -> T {
    POOL.try_with(|pool| run(&mut pool.borrow_mut())).unwrap_or_default()
}

/// `describe` tells a state's stamp, and whether it can be used at all. `None` when a new one is to be made.
fn take<T>(states: &mut Vec<T>, stamp: Stamp, describe: impl Fn(&T) -> (Option<Stamp>, bool)) -> Option<T> {
    let own = states.iter().position(|state| describe(state).0 == Some(stamp));
    let free = || states.iter().position(|state| describe(state) == (None, true));
    if let Some(index) = own.or_else(free) {
        return Some(states.remove(index));
    }
    if states.len() < MAX_STATES {
        return None;
    }
    // The one that was not used for longest: its connection has to prime one again.
    let oldest = states.remove(0);
    describe(&oldest).1.then_some(oldest)
}

fn give<T>(states: &mut Vec<T>, state: T) {
    if states.len() == MAX_STATES {
        states.remove(0);
    }
    states.push(state);
}

/// How many states of each kind a thread keeps.
const MAX_STATES: usize = 4;
/// The longest output that is kept for the next message.
const MAX_SCRATCH_LEN: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// A state as the pool sees it: its stamp, and what it was made for.
    type State = (Option<Stamp>, u8);

    fn take_for(states: &mut Vec<State>, stamp: Stamp, key: u8) -> Option<State> {
        take(states, stamp, |state| (state.0, state.1 == key))
    }

    #[test]
    fn a_direction_finds_the_state_it_left_among_the_last_few() {
        let mut states = Vec::new();
        let stamps: Vec<Stamp> = (0..MAX_STATES).map(|_| Stamp::new()).collect();
        for &stamp in &stamps {
            assert_eq!(take_for(&mut states, stamp, 6), None, "there is room for one more");
            give(&mut states, (Some(stamp), 6));
        }
        for _ in 0..3 {
            for &stamp in &stamps {
                let state = take_for(&mut states, stamp, 6);
                assert_eq!(state, Some((Some(stamp), 6)));
                states.extend(state);
            }
        }
        // One more takes the one that was not used for longest.
        assert_eq!(take_for(&mut states, Stamp::new(), 6), Some((Some(stamps[0]), 6)));
        assert_eq!(states.len(), MAX_STATES - 1);
    }

    #[test]
    fn a_direction_that_has_gone_on_does_not_take_up_an_old_state() {
        let mut stamp = Stamp::new();
        let mut states = vec![(Some(stamp), 6)];
        stamp.advance();
        assert_eq!(take_for(&mut states, stamp, 6), None);
        assert_eq!(states.len(), 1);
    }

    #[test]
    fn a_state_nobody_comes_back_to_is_used_first() {
        let stamp = Stamp::new();
        let mut states = vec![(Some(stamp), 6), (None, 6), (None, 9)];
        assert_eq!(take_for(&mut states, Stamp::new(), 6), Some((None, 6)));
        assert_eq!(states, [(Some(stamp), 6), (None, 9)]);
    }

    #[test]
    fn states_of_other_settings_make_room_in_their_turn() {
        let mut states: Vec<State> = (0..MAX_STATES).map(|_| (Some(Stamp::new()), 9)).collect();
        for left in (0..MAX_STATES).rev() {
            let stamp = Stamp::new();
            assert_eq!(take_for(&mut states, stamp, 6), None);
            give(&mut states, (Some(stamp), 6));
            assert_eq!(states.len(), MAX_STATES);
            assert_eq!(states.iter().filter(|state| state.1 == 9).count(), left);
        }
    }

    #[test]
    fn a_thread_keeps_few_states_and_little_scratch() {
        let key = Key { level: 1, memory_level: 1, window_bits: 9 };
        for _ in 0..3 * MAX_STATES {
            give_deflater(Deflater::new(key));
            give_inflater(Inflater::new());
        }
        let kept = with_pool(|pool| (pool.deflaters.len(), pool.inflaters.len()));
        assert_eq!(kept, (MAX_STATES, MAX_STATES));

        let mut scratch = Scratch::default();
        scratch.room(MAX_SCRATCH_LEN + 1);
        give_scratch(scratch);
        assert_eq!(take_scratch().octets.len(), 0);
        let mut scratch = Scratch::default();
        scratch.room(MAX_SCRATCH_LEN);
        give_scratch(scratch);
        assert_eq!(take_scratch().octets.len(), MAX_SCRATCH_LEN);
    }
}
