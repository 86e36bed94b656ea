use alloc::collections::VecDeque;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::frame::{ControlOpcode, DataOpcode, Rsv};

/// One thing that happens to an output queue.
#[derive(Debug, Clone)]
enum Step {
    Push {
        how: How,
        len: usize,
        masked: bool,
    },
    PongAhead {
        len: usize,
        masked: bool,
    },
    /// `slots` slices are offered to the transport, and it takes this part of what they hold.
    Write {
        slots: usize,
        taken: Taken,
    },
    WriteAll,
    /// The transport is given this many octets, takes none and remembers them.
    Offer {
        len: usize,
    },
    TakeBuffer,
    LendBuffer {
        len: usize,
    },
    Close {
        masked: bool,
    },
    Park,
    ParkExactly,
    DropUnbegun,
}

#[derive(Debug, Clone, Copy)]
enum How {
    /// As the usual message, and else borrowed.
    IfRoom,
    Copied,
    Borrowed,
    Shared,
}

#[derive(Debug, Clone, Copy)]
enum Taken {
    Octets(usize),
    Percent(usize),
}

/// The queue as it should be: whole frames, encoded without the code under test.
#[derive(Default)]
struct Model {
    frames: VecDeque<Queued>,
    appended: u64,
    written: u64,
    offered: usize,
}

struct Queued {
    octets: Vec<u8>,
    gone: usize,
    ahead: bool,
}

impl Model {
    fn push(&mut self, octets: Vec<u8>) {
        self.appended += octets.len() as u64;
        self.frames.push_back(Queued { octets, gone: 0, ahead: false });
    }

    fn push_pong_ahead(&mut self, octets: Vec<u8>) {
        // Frames of which something is written or offered stay where they are.
        let mut offered = self.offered;
        let begun = self.frames.iter().take_while(|frame| {
            let begun = frame.gone > 0 || offered > 0;
            offered = offered.saturating_sub(frame.octets.len() - frame.gone);
            begun
        });
        let boundary = begun.count();
        let waiting = self.frames.iter_mut().skip(boundary).find(|frame| frame.ahead);
        if let Some(waiting) = waiting {
            waiting.octets = octets;
            return;
        }
        self.frames.insert(boundary, Queued { octets, gone: 0, ahead: true });
    }

    /// Drops the frames of which nothing is written or offered, but a Pong that comes next and a Close.
    fn drop_unbegun(&mut self) {
        let mut offered = self.offered;
        let (mut next, mut closed) = (true, false);
        self.frames.retain(|frame| {
            let begun = frame.gone > 0 || offered > 0;
            offered = offered.saturating_sub(frame.octets.len() - frame.gone);
            if begun {
                return true;
            }
            let comes_next = mem::take(&mut next) && frame.ahead;
            let closes = frame.octets[0] == 0x88 && !mem::replace(&mut closed, true);
            if !comes_next && !closes && !frame.ahead {
                self.appended -= frame.octets.len() as u64;
            }
            comes_next || closes
        });
    }

    fn len(&self) -> usize {
        self.frames.iter().map(|frame| frame.octets.len() - frame.gone).sum()
    }

    /// Takes one slice's octets off the front, which must be these.
    fn write(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let frame = self.frames.front_mut().expect("nothing is written that was not queued");
            let len = octets.len().min(frame.octets.len() - frame.gone);
            assert!(octets[..len] == frame.octets[frame.gone..][..len], "octets of another frame");
            frame.gone += len;
            if !frame.ahead {
                self.written += len as u64;
            }
            if frame.gone == frame.octets.len() {
                self.frames.pop_front();
            }
            octets = &octets[len..];
            self.offered = self.offered.saturating_sub(len);
        }
    }
}

fn encoded(opcode: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let mut octets = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..=125 => octets.push(mask | len as u8),
        len @ 126..=0xffff => {
            octets.push(mask | 126);
            octets.extend((len as u16).to_be_bytes());
        }
        len => {
            octets.push(mask | 127);
            octets.extend((len as u64).to_be_bytes());
        }
    }
    let key = key.inspect(|key| octets.extend(key)).unwrap_or_default();
    octets.extend(payload.iter().enumerate().map(|(i, octet)| octet ^ key[i % 4]));
    octets
}

/// A payload that no other frame of the run has.
fn payload(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * 31) ^ (i >> 8) ^ (number * 77)) as u8).collect()
}

fn key(number: usize, masked: bool) -> Option<[u8; 4]> {
    let key = [number as u8, 0xfa, (number >> 8) as u8, 0x3d ^ number as u8];
    masked.then_some(key)
}

struct Run {
    output: Output,
    model: Model,
    /// How many frames there have been.
    number: usize,
}

impl Run {
    fn step(&mut self, step: &Step) {
        self.number += 1;
        let number = self.number;
        match *step {
            Step::Push { how, len, masked } => {
                let (key, payload) = (key(number, masked), payload(number, len));
                let masking_key = key.map(MaskingKey::new);
                let header =
                    FrameHeader::data(true, Rsv::NONE, DataOpcode::Binary, masking_key, len as u64).unwrap();
                self.model.push(encoded(0x2, key, &payload));
                match how {
                    How::IfRoom => {
                        if !self.output.push_if_room(DataOpcode::Binary, || masking_key, &payload) {
                            self.output.push_borrowed(&header, &payload);
                        }
                    }
                    How::Copied => self.output.push_copied(&header, &payload),
                    How::Borrowed => self.output.push_borrowed(&header, &payload),
                    How::Shared => self.output.push_shared(&header, Bytes::from(payload)),
                }
            }
            Step::PongAhead { len, masked } => {
                let (key, payload) = (key(number, masked), payload(number, len));
                let header =
                    FrameHeader::control(ControlOpcode::Pong, key.map(MaskingKey::new), len).unwrap();
                self.model.push_pong_ahead(encoded(0xa, key, &payload));
                self.output.push_pong_ahead(&header, &payload);
            }
            Step::Write { slots, taken } => {
                self.write(slots, taken);
            }
            Step::WriteAll => while self.write(3, Taken::Percent(100)) > 0 {},
            Step::Offer { len } => {
                let len = len.min(self.output.len());
                self.output.offer(len);
                self.model.offered = self.model.offered.max(len);
            }
            Step::TakeBuffer => {
                let empty = self.output.is_empty();
                assert!(self.output.take_buffer().is_none() || empty, "a buffer in use was given away");
            }
            Step::LendBuffer { len } => self.output.lend_buffer(vec![0xee; len]),
            Step::Close { masked } => {
                let (key, payload) = (key(number, masked), payload(number, 2));
                let header = FrameHeader::control(ControlOpcode::Close, key.map(MaskingKey::new), 2).unwrap();
                self.model.push(encoded(0x8, key, &payload));
                self.output.push_copied(&header, &payload);
            }
            Step::Park => _ = self.output.park().unwrap(),
            Step::ParkExactly => _ = self.output.park_exactly().unwrap(),
            Step::DropUnbegun => {
                self.output.drop_unbegun();
                self.model.drop_unbegun();
            }
        }
        assert_eq!(self.output.len(), self.model.len());
        assert_eq!(self.output.is_empty(), self.model.len() == 0);
        assert_eq!(self.output.appended(), self.model.appended);
        assert_eq!(self.output.written(), self.model.written);
    }

    fn write(&mut self, slots: usize, taken: Taken) -> usize {
        let mut slices = vec![&[][..]; slots];
        let filled = self.output.slices(&mut slices);
        let slices = &slices[..filled];
        assert!(slices.iter().all(|slice| !slice.is_empty()), "an empty slice is no octet to write");
        let given: usize = slices.iter().map(|slice| slice.len()).sum();
        assert_eq!(given == 0, self.model.len() == 0, "what is queued is offered");
        let taken = match taken {
            Taken::Octets(octets) => octets.min(given),
            Taken::Percent(percent) => given * percent / 100,
        };
        let mut left = taken;
        for slice in slices {
            let len = left.min(slice.len());
            self.model.write(&slice[..len]);
            left -= len;
        }
        self.output.advance(taken);
        taken
    }
}

fn run(steps: &[Step]) {
    run_with(Output::default(), steps);
    #[cfg(feature = "std")]
    {
        let budget = crate::Budget::new(usize::MAX);
        let config = crate::Config::default().budget(budget.clone());
        run_with(Output::new(Account::new(&config, crate::Role::Server)), steps);
        assert_eq!(budget.in_use(), 0);
    }
}

fn run_with(output: Output, steps: &[Step]) {
    let mut run = Run { output, model: Model::default(), number: 0 };
    for step in steps {
        run.step(step);
    }
    run.step(&Step::WriteAll);
    assert!(run.output.is_empty());
    assert_eq!(run.output.written(), run.output.appended());
    run.step(&Step::TakeBuffer);
    assert_eq!(run.output.account.held(Part::Apart), 0);
}

fn any_len() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..300usize,
        1 => COPY_UP_TO - 2..COPY_UP_TO + 3,
        1 => COPY_UP_TO..3 * COPY_UP_TO,
        1 => MASKED_PIECE_LEN - 2..MASKED_PIECE_LEN + 3,
        1 => MASKED_PIECE_LEN..3 * MASKED_PIECE_LEN,
    ]
}

fn any_push() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        2 => Just(How::IfRoom),
        1 => Just(How::Copied),
        1 => Just(How::Borrowed),
        1 => Just(How::Shared),
    ];
    (how, any_len(), any::<bool>()).prop_map(|(how, len, masked)| Step::Push { how, len, masked })
}

fn any_step() -> impl Strategy<Value = Step> {
    let taken = prop_oneof![
        2 => (0..20usize).prop_map(Taken::Octets),
        1 => (0..70_000usize).prop_map(Taken::Octets),
        2 => (0..=100usize).prop_map(Taken::Percent),
        1 => Just(Taken::Percent(100)),
    ];
    prop_oneof![
        6 => any_push(),
        4 => (0..=125usize, any::<bool>()).prop_map(|(len, masked)| Step::PongAhead { len, masked }),
        8 => (1..6usize, taken).prop_map(|(slots, taken)| Step::Write { slots, taken }),
        1 => Just(Step::WriteAll),
        2 => (0..3_000usize).prop_map(|len| Step::Offer { len }),
        1 => Just(Step::TakeBuffer),
        1 => (0..40_000usize).prop_map(|len| Step::LendBuffer { len }),
        // Large payloads fit this one, and may stand in it beside others that do not.
        1 => (0..400_000usize).prop_map(|len| Step::LendBuffer { len }),
        1 => any::<bool>().prop_map(|masked| Step::Close { masked }),
        2 => Just(Step::Park),
        1 => Just(Step::ParkExactly),
        1 => Just(Step::DropUnbegun),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    // CM-22 CM-24 6455-5.5.3-2 6455-6.1-9
    #[test]
    fn any_interleaving_of_pushes_and_partial_writes_gives_the_frames_in_order(
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        run(&steps);
    }
}

fn push(how: How, len: usize) -> Step {
    Step::Push { how, len, masked: false }
}

fn write(octets: usize) -> Step {
    Step::Write { slots: 8, taken: Taken::Octets(octets) }
}

const PONG: Step = Step::PongAhead { len: 3, masked: false };

// 6455-5.5.3-2
#[test]
fn a_pong_ahead_leaves_behind_the_shared_payload_that_is_being_written() {
    for how in [How::Borrowed, How::Shared] {
        for masked in [false, true] {
            for gone in [0, 1, 2, 9, 10, 11, 14, 15, 40_000, 65_549, 65_550, 69_999, 70_000] {
                run(&[
                    Step::Push { how, len: 70_000, masked },
                    push(How::Shared, 20_000),
                    write(gone),
                    PONG,
                    write(7),
                    PONG,
                ]);
            }
        }
    }
}

#[test]
fn a_pong_ahead_finds_its_boundary_after_the_buffer_was_compacted() {
    for gone in 0..1100 {
        run(&[
            push(How::Copied, 500),
            push(How::Copied, 500),
            write(gone),
            push(How::Copied, 400),
            push(How::Shared, 20_000),
            push(How::Copied, 400),
            PONG,
            write(5),
            PONG,
            push(How::Copied, 2_000),
            write(900),
            PONG,
        ]);
    }
}

#[test]
fn what_was_forgotten_is_not_counted_as_written() {
    let mut run = Run { output: Output::default(), model: Model::default(), number: 0 };
    for step in [push(How::Shared, 20_000), push(How::Copied, 10), PONG, write(100)] {
        run.step(&step);
    }
    run.output.clear();
    assert!(run.output.is_empty());
    // Whoever waits for it to be out waits in vain, and finds that the connection has failed.
    assert!(run.output.written() < run.model.appended);
    assert_eq!((run.output.appended(), run.output.written()), (100 - 5, 100 - 5));
    assert_eq!(run.output.slices(&mut [&[][..]; 4]), 0);
}

#[test]
#[should_panic(expected = "the transport took more than it was given")]
fn a_payload_that_is_not_masked_yet_cannot_have_been_written() {
    let mut run = Run { output: Output::default(), model: Model::default(), number: 0 };
    run.step(&Step::Push { how: How::Shared, len: 2 * MASKED_PIECE_LEN, masked: true });
    assert_eq!(run.output.slices(&mut [&[][..]; 8]), 2, "the header and the first piece");
    run.output.advance(14 + MASKED_PIECE_LEN + 1);
}
