//! Frame headers, RFC 6455 §5.2: decoded and judged, and encoded, beside both by hand.
//!
//! `cargo bench --bench header`

#[path = "support/by_hand.rs"]
mod by_hand;
#[path = "support/measure.rs"]
mod measure;

use std::hint::black_box;

use criterion::Criterion;
use sansocket::frame::{DataOpcode, Expect, FrameHeader, MaskingKey, Rsv};

fn main() {
    let mut criterion = measure::criterion();
    for (name, len) in LENS {
        decode(&mut criterion, name, len);
        encode(&mut criterion, name, len, None);
        encode(&mut criterion, name, len, Some(KEY));
    }
    criterion.final_summary();
}

/// A client's header, as a server expects it.
fn decode(criterion: &mut Criterion, name: &str, len: usize) {
    let mut octets = [0; 32];
    by_hand::write_header(&mut octets, BINARY, len, Some(KEY));
    let expect = Expect { masked: true, ..Expect::default() };
    let mut group = criterion.benchmark_group(format!("header decode, {name}"));
    group.bench_function("sansocket", |bencher| {
        bencher.iter(|| FrameHeader::decode(black_box(&octets), black_box(&expect)));
    });
    group.bench_function("by hand", |bencher| {
        bencher.iter(|| by_hand::header(black_box(&octets)));
    });
    group.finish();
}

fn encode(criterion: &mut Criterion, name: &str, len: usize, key: Option<[u8; 4]>) {
    let role = if key.is_some() { "client" } else { "server" };
    let mut group = criterion.benchmark_group(format!("header encode, {role}, {name}"));
    let masking_key = key.map(MaskingKey::new);
    let mut octets = [0; 32];
    group.bench_function("sansocket", |bencher| {
        bencher.iter(|| {
            let (len, key) = (black_box(len as u64), black_box(masking_key));
            let header = FrameHeader::data(true, Rsv::NONE, DataOpcode::Binary, key, len)?;
            let encoded = header.encode();
            let encoded = encoded.as_slice();
            black_box(&mut octets[..encoded.len()]).copy_from_slice(encoded);
            Some(encoded.len())
        });
    });
    group.bench_function("by hand", |bencher| {
        bencher
            .iter(|| by_hand::write_header(black_box(&mut octets), BINARY, black_box(len), black_box(key)));
    });
    group.finish();
}

const LENS: [(&str, usize); 3] = [("7 bits", 100), ("16 bits", 1_000), ("64 bits", 100_000)];

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const BINARY: u8 = 0x82;
