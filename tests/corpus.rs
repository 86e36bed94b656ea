//! The corpora that compression is measured and tested with stay what they are, or figures cannot be compared.

#[path = "support/corpus.rs"]
mod corpus;

use corpus::Corpus;

/// FNV-1a over the messages, each with a zero behind it.
fn checksum(corpus: &Corpus) -> u64 {
    let octets = corpus.messages.iter().flat_map(|message| message.iter().chain(&[0]));
    octets.fold(0xcbf2_9ce4_8422_2325, |sum, &octet| {
        (sum ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn every_corpus_has_the_octets_that_it_always_had() {
    let seen = corpus::all(1_000).map(|corpus| (corpus.name, corpus.octets(), checksum(&corpus)));
    let expected = [
        ("JSON chat", 557_978, 0x5324_2307_f600_8111),
        ("prose", 2_606_415, 0x0a68_d6f2_4ee4_e874),
        ("random", 1_024_000, 0xd4f4_d2e7_b422_f561),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_longer_corpus_begins_with_the_shorter_one() {
    for (short, long) in corpus::all(10).iter().zip(&corpus::all(20)) {
        assert_eq!(short.messages, long.messages[..10], "{}", short.name);
    }
}

#[test]
fn messages_are_as_long_as_their_kind_is() {
    let [chat, prose, random] = corpus::all(1_000);
    assert!((550..=565).contains(&(chat.octets() / 1_000)), "{}", chat.octets());
    assert!(chat.messages.iter().all(|message| (380..=800).contains(&message.len())));
    assert!(prose.messages.iter().all(|message| (1_024..=4_096).contains(&message.len())));
    assert!(random.messages.iter().all(|message| message.len() == 1_024));
}

#[test]
fn what_is_called_text_is_ascii() {
    for corpus in corpus::all(1_000).iter().filter(|corpus| corpus.is_text) {
        assert!(corpus.messages.iter().all(|message| message.is_ascii()), "{}", corpus.name);
    }
}
