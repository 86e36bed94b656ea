//! Text as it arrives, RFC 6455 §8.1: the validator beside the standard library's and simdutf8's.
//!
//! `cargo bench --bench utf8`

#[path = "support/measure.rs"]
mod measure;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use sansocket::frame::Utf8Validator;

fn main() {
    let mut criterion = measure::criterion();
    for (name, text) in TEXTS {
        for len in LENS {
            validate(&mut criterion, name, &text_of(text, len));
        }
    }
    criterion.final_summary();
}

fn validate(criterion: &mut Criterion, name: &str, text: &str) {
    let text = text.as_bytes();
    let mut group = criterion.benchmark_group(format!("utf8 {name} {} B", text.len()));
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("sansocket", |bencher| {
        bencher.iter(|| {
            let mut validator = Utf8Validator::new();
            validator.push(black_box(text))?;
            validator.finish()
        });
    });
    group.bench_function("sansocket, two pieces", |bencher| {
        let (first, rest) = text.split_at(text.len() / 2 + 1);
        bencher.iter(|| {
            let mut validator = Utf8Validator::new();
            validator.push(black_box(first))?;
            validator.push(black_box(rest))?;
            validator.finish()
        });
    });
    group.bench_function("std", |bencher| {
        bencher.iter(|| std::str::from_utf8(black_box(text)));
    });
    group.bench_function("simdutf8", |bencher| {
        bencher.iter(|| simdutf8::basic::from_utf8(black_box(text)));
    });
    group.finish();
}

/// `pattern` again and again, filled up with spaces to exactly `len` octets.
fn text_of(pattern: &str, len: usize) -> String {
    let mut text = String::with_capacity(len);
    for character in pattern.chars().cycle() {
        if text.len() + character.len_utf8() > len {
            break;
        }
        text.push(character);
    }
    text.extend(std::iter::repeat_n(' ', len - text.len()));
    text
}

const TEXTS: [(&str, &str); 3] = [
    ("ASCII", "The quick brown fox jumps over the lazy dog. "),
    ("Latin", "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich, très étonnés. "),
    ("CJK", "いろはにほへとちりぬるを天地玄黄宇宙洪荒日月盈昃"),
];

const LENS: [usize; 6] = [16, 64, 125, 1 << 10, 16 << 10, 64 << 10];
