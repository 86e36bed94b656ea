//! Masking, RFC 6455 §5.3, in place and while copying: beside a copy and loops by hand, at every alignment and key phase.
//!
//! `cargo bench --bench mask`

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
    let mut criterion = measure::criterion();
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
            let mut octets = Aligned::new(offset, len);
            group.bench_function(BenchmarkId::new(name, offset), |bencher| {
                bencher.iter(|| mask(black_box(octets.as_mut()), black_box(key)));
            });
        }
    }
    group.finish();
}

fn copying(criterion: &mut Criterion, len: usize) {
    let mut group = group(criterion, "mask while copying", len);
    for &(name, mask) in COPYING {
        for (offset, key) in phases() {
            let (from, mut to) = (Aligned::new(offset, len), Aligned::new(0, len));
            group.bench_function(BenchmarkId::new(name, offset), |bencher| {
                bencher.iter(|| mask(black_box(to.as_mut()), black_box(from.as_ref()), black_box(key)));
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
    (0..4).map(|offset| (offset, KEY.advanced(offset)))
}

/// Octets that begin so many behind a cache line's first.
struct Aligned {
    octets: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    fn new(offset: usize, len: usize) -> Self {
        let octets = wire::payload(len + 64 + offset);
        let start = octets.as_ptr().align_offset(64) + offset;
        Self { octets, start, len }
    }

    fn as_ref(&self) -> &[u8] {
        &self.octets[self.start..self.start + self.len]
    }

    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.octets[self.start..self.start + self.len]
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

const LENS: [usize; 7] = [16, 64, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20];
