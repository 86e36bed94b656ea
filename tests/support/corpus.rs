//! The messages that compression is measured and tested with: the same octets on every machine and in every run.
#![allow(dead_code, reason = "each test and bench uses its part")]

use std::fmt::Write;

/// Messages of one kind.
pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    /// Whether the messages are text, to be sent as such.
    pub(crate) is_text: bool,
    pub(crate) messages: Vec<Vec<u8>>,
}

impl Corpus {
    /// How many octets all messages have together.
    pub(crate) fn octets(&self) -> usize {
        self.messages.iter().map(Vec::len).sum()
    }
}

/// `count` messages of each kind.
pub(crate) fn all(count: usize) -> [Corpus; 3] {
    [chat(count), prose(count), random(count)]
}

/// JSON as a chat server sends it, about 560 octets each: a few dozen users in a dozen channels, some talkative, with ids
/// and times that grow, and one message in a few that mentions, answers or was reacted to.
pub(crate) fn chat(count: usize) -> Corpus {
    let mut random = Random::new(0x6368_6174);
    let vocabulary = Vocabulary::new();
    let users: Vec<_> = (0..USERS).map(|_| User::new(&mut random)).collect();
    let (talkative, busy) = (Zipf::new(USERS), Zipf::new(CHANNELS.len()));
    let mut sequence = 48_210_377;
    let mut milliseconds = 34_013_589;
    let messages = (0..count).map(|_| {
        sequence += 1 + random.below(4);
        milliseconds += random.below(2_500);
        let user = &users[talkative.pick(&mut random)];
        let channel = busy.pick(&mut random);
        let mut message = String::new();
        let _ = write!(
            message,
            r#"{{"type":"message","id":"{:x}","seq":{sequence},"channel":{{"id":"c{channel:04}","name":"{}","private":{}}},"#,
            (milliseconds << 22) + random.below(1 << 12),
            CHANNELS[channel],
            channel % 5 == 4,
        );
        let _ = write!(
            message,
            r#""author":{{"id":"{:08x}","name":"{}","avatar":"https://cdn.example.com/a/{:08x}/{:016x}.webp","bot":false,"roles":["member"]}},"#,
            user.id, user.name, user.id, user.avatar,
        );
        let _ = write!(message, r#""client":{{"app":"{}","locale":"en"}},"#, user.app);
        let _ = write!(message, r#""sent_at":"2026-03-14T{}Z","text":""#, time_of_day(milliseconds));
        let words = 6 + random.below(18);
        vocabulary.sentence(&mut random, words, &mut message);
        message.push_str(r#"","mentions":["#);
        if random.below(4) == 0 {
            let _ = write!(message, r#""{:08x}""#, users[talkative.pick(&mut random)].id);
        }
        message.push_str(r#"],"reactions":["#);
        if random.below(5) == 0 {
            let reaction = pick(&mut random, &REACTIONS);
            let _ = write!(message, r#"{{"name":"{reaction}","count":{}}}"#, 1 + random.below(12));
        }
        message.push_str(r#"],"reply_to":"#);
        if random.below(6) == 0 {
            let _ = write!(message, r#"{}"#, sequence - 1 - random.below(200));
        } else {
            message.push_str("null");
        }
        let (edited, pinned) = (random.below(9) == 0, random.below(50) == 0);
        let _ = write!(message, r#","flags":{{"edited":{edited},"pinned":{pinned},"silent":false,"ephemeral":false}}}}"#);
        message.into_bytes()
    });
    Corpus { name: "JSON chat", is_text: true, messages: messages.collect() }
}

/// Paragraphs of one to four KiB that look like English to a compressor: frequent words are frequent, most words are rare.
pub(crate) fn prose(count: usize) -> Corpus {
    let mut random = Random::new(0x7072_6f73);
    let vocabulary = Vocabulary::new();
    let messages = (0..count).map(|_| {
        let len = 1_024 + random.below(3_072) as usize;
        let mut paragraph = String::new();
        while paragraph.len() < len {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            let words = 5 + random.below(25);
            vocabulary.sentence(&mut random, words, &mut paragraph);
        }
        paragraph.truncate(len);
        paragraph.into_bytes()
    });
    Corpus { name: "prose", is_text: true, messages: messages.collect() }
}

/// 1 KiB each that nothing can make smaller: images, encrypted or compressed data.
pub(crate) fn random(count: usize) -> Corpus {
    let mut random = Random::new(0x7261_6e64);
    let messages = (0..count).map(|_| (0..128).flat_map(|_| random.next().to_le_bytes()).collect());
    Corpus { name: "random", is_text: false, messages: messages.collect() }
}

struct User {
    id: u32,
    name: String,
    avatar: u64,
    app: &'static str,
}

impl User {
    fn new(random: &mut Random) -> Self {
        let mut name = String::new();
        pseudo_word(random, &mut name);
        name.push('.');
        pseudo_word(random, &mut name);
        Self { id: random.next() as u32, name, avatar: random.next(), app: pick(random, &APPS) }
    }
}

fn time_of_day(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, milliseconds % 1_000)
}

/// English words, the most frequent first, and behind them words that only sound like some.
struct Vocabulary {
    words: Vec<String>,
    frequencies: Zipf,
}

impl Vocabulary {
    fn new() -> Self {
        let mut random = Random::new(0x776f_7264);
        let mut words: Vec<_> = FREQUENT_WORDS.split_whitespace().map(str::to_owned).collect();
        while words.len() < WORDS {
            let mut word = String::new();
            pseudo_word(&mut random, &mut word);
            words.push(word);
        }
        Self { words, frequencies: Zipf::new(WORDS) }
    }

    /// Appends a sentence of so many words.
    fn sentence(&self, random: &mut Random, words: u64, text: &mut String) {
        for index in 0..words {
            let word = &self.words[self.frequencies.pick(random)];
            if index == 0 {
                text.push_str(&word[..1].to_ascii_uppercase());
                text.push_str(&word[1..]);
                continue;
            }
            text.push_str(if random.below(11) == 0 { ", " } else { " " });
            text.push_str(word);
        }
        text.push(if random.below(8) == 0 { '?' } else { '.' });
    }
}

fn pseudo_word(random: &mut Random, word: &mut String) {
    for _ in 0..1 + random.below(3) {
        word.push_str(pick(random, &ONSETS));
        word.push_str(pick(random, &NUCLEI));
    }
    word.push_str(pick(random, &CODAS));
}

fn pick(random: &mut Random, choices: &[&'static str]) -> &'static str {
    choices[random.below(choices.len() as u64) as usize]
}

/// Numbers below a bound, of which each is about as frequent as the inverse of itself.
struct Zipf {
    /// The sums of the frequencies up to and with each number.
    sums: Vec<u64>,
}

impl Zipf {
    fn new(bound: usize) -> Self {
        let mut sum = 0;
        let sums = (0..bound as u64).map(|rank| {
            sum += (1 << 32) / (rank + 3);
            sum
        });
        Self { sums: sums.collect() }
    }

    fn pick(&self, random: &mut Random) -> usize {
        let total = self.sums.last().copied().unwrap_or(1);
        let drawn = random.below(total);
        self.sums.partition_point(|&sum| sum <= drawn)
    }
}

/// The generator `SplitMix64`: enough for data that has to be the same everywhere, and short.
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, each number as good as equally often.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

const USERS: usize = 80;
const WORDS: usize = 1_500;

const CHANNELS: [&str; 12] = [
    "general",
    "announcements",
    "support",
    "development",
    "release-planning",
    "random",
    "operations",
    "design-review",
    "hiring",
    "incidents",
    "lunch",
    "reading-group",
];

const APPS: [&str; 4] = ["web", "desktop", "android", "ios"];

const REACTIONS: [&str; 8] = ["thumbs_up", "heart", "laughing", "eyes", "tada", "rocket", "thinking", "wave"];

/// Some of the most frequent words of English.
const FREQUENT_WORDS: &str = "the of and to a in is it you that he was for on are with as i his they be at one have this \
    from or had by not but what all were we when your can said there use an each which she do how their if will up other \
    about out many then them these so some her would make like him into time has look two more write go see number no way \
    could people my than first water been call who its now find long down day did get come made may part over new sound \
    take only little work know place year live me back give most very after thing our just name good sentence man think \
    say great where help through much before line right too mean old any same tell boy follow came want show also around \
    form three small set put end does another well large must big even such because turn here why ask went men read need \
    land different home us move try kind hand picture again change off play spell air away animal house point page letter \
    mother answer found study still learn should world";

const ONSETS: [&str; 24] = [
    "b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "ch", "sh", "pl",
    "br", "gr", "th", "qu",
];

const NUCLEI: [&str; 12] = ["a", "e", "i", "o", "u", "ea", "ou", "ai", "ee", "io", "er", "an"];

const CODAS: [&str; 12] = ["", "", "", "s", "n", "t", "ed", "ing", "ly", "tion", "ment", "st"];
