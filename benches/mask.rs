//! Masking, RFC 6455 §5.3, in place and while copying: beside a copy and loops by hand, from several places in a cache line.
//!
//! `cargo bench --bench mask`
//!
//! Short payloads lie one behind the other, as in a buffer that was read, and each is masked in its turn. The same octets again
//! and again would be read before they are written, and what is measured then is how the CPU waits for its own last write.

#[path = "support/by_hand.rs"]
mod by_hand;
#[path = "support/measure.rs"]
mod measure;
#[path = "support/wire.rs"]
mod wire;

use std::hint::black_box;

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use sansocket::frame::MaskingKey;

fn main() {
    check();
    let mut criterion = measure::criterion_of_many();
    for len in LENS {
        in_place(&mut criterion, len);
        copying(&mut criterion, len);
    }
    criterion.final_summary();
}

type InPlace = fn(&mut [u8], MaskingKey);
type Copying = fn(&mut [u8], &[u8], MaskingKey);

const IN_PLACE: &[(&str, InPlace)] = &[
    ("sansocket", |data, key| key.mask(data)),
    ("u64 loop", |data, key| u64_loop(data, key.octets())),
    #[cfg(target_arch = "x86_64")]
    ("AVX2 loop", |data, key| by_hand::avx2::words(data, key.octets())),
    #[cfg(target_arch = "x86_64")]
    ("AVX2 loop, overlapping tail", |data, key| by_hand::avx2::overlapped(data, key.octets())),
];

const COPYING: &[(&str, Copying)] = &[
    ("sansocket", |to, from, key| key.mask_copy(to, from)),
    ("memcpy", |to, from, _| to.copy_from_slice(from)),
    ("u64 loop", |to, from, key| u64_loop_copy(to, from, key.octets())),
    #[cfg(target_arch = "x86_64")]
    ("AVX2 loop", |to, from, key| by_hand::avx2::words_copy(to, from, key.octets())),
    #[cfg(target_arch = "x86_64")]
    ("AVX2 loop, overlapping tail", |to, from, key| by_hand::avx2::overlapped_copy(to, from, key.octets())),
];

fn in_place(criterion: &mut Criterion, len: usize) {
    let mut group = group(criterion, "mask in place", len);
    for &(name, mask) in IN_PLACE {
        for (offset, key) in phases() {
            let mut payloads = Payloads::new(offset, len);
            group.bench_function(BenchmarkId::new(name, offset), |bencher| {
                bencher.iter(|| mask(black_box(payloads.next()), black_box(key)));
            });
        }
    }
    group.finish();
}

fn copying(criterion: &mut Criterion, len: usize) {
    let mut group = group(criterion, "mask while copying", len);
    for &(name, mask) in COPYING {
        for (offset, key) in phases() {
            let (mut from, mut to) = (Payloads::new(6, len), Payloads::new(offset, len));
            group.bench_function(BenchmarkId::new(name, offset), |bencher| {
                bencher.iter(|| mask(black_box(to.next()), black_box(from.next()), black_box(key)));
            });
        }
    }
    group.finish();
}

fn group<'a>(criterion: &'a mut Criterion, what: &str, len: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(format!("{what} {len} B"));
    group.throughput(Throughput::Bytes(len as u64));
    group
}

/// Where a payload begins, counted from a cache line, and the key as it is there when the payload comes in pieces.
fn phases() -> impl Iterator<Item = (usize, MaskingKey)> {
    [0, 1, 6, 39].into_iter().map(|offset| (offset, KEY.advanced(offset)))
}

/// As many payloads as 8 KiB hold, or one; each begins so many octets behind a cache line's first.
struct Payloads {
    octets: Vec<u8>,
    first: usize,
    len: usize,
    /// From one to the next.
    step: usize,
    next: usize,
    count: usize,
}

impl Payloads {
    fn new(offset: usize, len: usize) -> Self {
        let step = (offset + len).next_multiple_of(64);
        let count = (8192 / step).max(1);
        let octets = wire::payload(64 + count * step);
        let first = octets.as_ptr().align_offset(64) + offset;
        Self { octets, first, len, step, next: 0, count }
    }

    #[inline]
    fn next(&mut self) -> &mut [u8] {
        let start = self.first + self.next * self.step;
        self.next = if self.next + 1 == self.count { 0 } else { self.next + 1 };
        &mut self.octets[start..start + self.len]
    }
}

#[inline(never)]
fn u64_loop(data: &mut [u8], key: [u8; 4]) {
    by_hand::words(data, key);
}

#[inline(never)]
fn u64_loop_copy(to: &mut [u8], from: &[u8], key: [u8; 4]) {
    by_hand::words_copy(to, from, key);
}

/// What is compared does the same.
fn check() {
    for len in (0..140).chain(LENS) {
        let payload = wire::payload(len);
        let mut expected = payload.clone();
        KEY.mask(&mut expected);
        for (name, mask) in IN_PLACE {
            let mut masked = payload.clone();
            mask(&mut masked, KEY);
            assert!(masked == expected, "{name}, {len} octets");
        }
        for (name, mask) in COPYING.iter().filter(|(name, _)| *name != "memcpy") {
            let mut masked = vec![0; len];
            mask(&mut masked, &payload, KEY);
            assert!(masked == expected, "{name}, {len} octets");
        }
    }
}

const KEY: MaskingKey = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);

const LENS: [usize; 21] = [
    1,
    4,
    7,
    8,
    15,
    16,
    31,
    32,
    63,
    64,
    100,
    125,
    126,
    200,
    256,
    1000,
    1 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    1 << 20,
];
