//! Where masking-keys come from: RFC 6455 §5.3, §10.3.

use alloc::boxed::Box;

use crate::frame::MaskingKey;

/// Where a client takes a new masking-key for every frame from.
///
/// A key must be unpredictable: it keeps a script that chooses its own payload from choosing what stands on the wire
/// (RFC 6455 §10.3). A server masks nothing and never asks.
pub struct KeySource(
    /// What was injected; without it, the operating system's generator, and without that nothing. Boxed twice, since
    /// all others need a pointer less then.
    Option<Box<Generator>>,
);

type Generator = Box<dyn FnMut() -> MaskingKey + Send + Sync>;

impl KeySource {
    /// Keys from the operating system's generator, fetched 1 KiB at a time and thread by thread.
    ///
    /// A process that forks without starting another program must not go on to use connections in the child: it would
    /// repeat the parent's keys.
    #[cfg(feature = "std")]
    #[must_use]
    pub const fn operating_system() -> Self {
        Self(None)
    }

    /// Keys from a generator of the caller's, for platforms that have no other.
    ///
    /// Its output must be that of a cryptographically secure generator, a different one for every call: no constant,
    /// no counter, no linear generator (RFC 6455 §5.3).
    pub fn injected(generate: impl FnMut() -> MaskingKey + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(Box::new(generate))))
    }

    /// For servers, which mask nothing and never ask.
    pub(crate) const fn never() -> Self {
        Self(None)
    }

    /// # Panics
    ///
    /// If the operating system has no randomness: to mask with anything weaker would be wrong, and no input of the
    /// peer's can bring it about.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<MaskingKey> {
        match &mut self.0 {
            Some(generate) => Some(generate()),
            #[cfg(feature = "std")]
            None => Some(pool::next()),
            #[cfg(not(feature = "std"))]
            None => None,
        }
    }
}

impl core::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "KeySource::injected",
            None if cfg!(feature = "std") => "KeySource::operating_system",
            None => "KeySource::never",
        })
    }
}

#[cfg(feature = "std")]
mod pool {
    use std::cell::RefCell;

    use crate::frame::MaskingKey;

    const POOL_LEN: usize = 1024;

    struct Pool {
        octets: [u8; POOL_LEN],
        used: usize,
    }

    thread_local! {
        static POOL: RefCell<Pool> = const { RefCell::new(Pool { octets: [0; POOL_LEN], used: POOL_LEN }) };
    }

    #[inline]
    pub(super) fn next() -> MaskingKey {
        POOL.with_borrow_mut(|pool| {
            if pool.used == POOL_LEN {
                getrandom::fill(&mut pool.octets).expect("the operating system has no randomness");
                pool.used = 0;
            }
            // INVARIANT: `POOL_LEN` is a multiple of four and `used` grows by four.
            let octets: &mut [u8; 4] =
                pool.octets[pool.used..].first_chunk_mut().expect("four octets are left");
            pool.used += 4;
            // A key that was handed out is not kept: whoever reads this memory later learns nothing of it.
            MaskingKey::new(core::mem::take(octets))
        })
    }
}
