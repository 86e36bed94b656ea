//! Messages that were read ahead of the application, up to a bound.

use std::collections::VecDeque;

use crate::budget::{Account, LEASE_LEN, Part};
use crate::connection::Message;
use crate::error::ProtocolError;

/// Whole messages in order, between a [`Driver`](super::Driver) and its [`Receiver`](super::Receiver).
///
/// Looked at only while the receiving side is locked: so nothing is parsed between a look that found none and what the
/// receiver then parses itself.
#[derive(Debug)]
pub(super) struct Ahead {
    messages: VecDeque<Message>,
    /// What they cost.
    octets: usize,
    bound: usize,
    account: Account,
}

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// No message waits.
    All,
    Some,
    /// No more is to be read ahead.
    None,
}

impl Ahead {
    pub(super) fn new(bound: usize, account: Account) -> Self {
        Self { messages: VecDeque::new(), octets: 0, bound: bound.max(1), account }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn room(&self) -> Room {
        match self.octets {
            0 => Room::All,
            octets if octets < self.bound => Room::Some,
            _ => Room::None,
        }
    }

    /// Puts a message behind the others. It stays there when nothing is left of the budget.
    pub(super) fn push(&mut self, message: Message) -> Result<(), ProtocolError> {
        self.octets = self.octets.saturating_add(cost(&message));
        self.messages.push_back(message);
        Ok(self.account.hold(Part::Main, self.octets)?)
    }

    /// The next message, and whether the driver, if it has stopped reading, is to go on: not for the room of each, but when
    /// half of it has been received.
    pub(super) fn pop(&mut self) -> Option<(Message, bool)> {
        let message = self.messages.pop_front()?;
        let half = self.bound / 2;
        let was_above = self.octets > half;
        self.octets -= cost(&message);
        self.account.note(Part::Main, self.octets);
        self.account.give_back(if self.is_empty() { 0 } else { LEASE_LEN });
        if self.is_empty() && self.messages.capacity() > KEPT_CAPACITY {
            self.messages = VecDeque::new();
        }
        Some((message, was_above && self.octets <= half))
    }

    /// All of them, for one that nobody receives.
    pub(super) fn take(&mut self) -> VecDeque<Message> {
        self.octets = 0;
        self.account.close();
        std::mem::take(&mut self.messages)
    }
}

fn cost(message: &Message) -> usize {
    message.payload().len().saturating_add(MESSAGE_COST)
}

/// What a message costs beside its payload: its place among the others, and what an allocation needs.
const MESSAGE_COST: usize = 128;

/// An empty queue with more room than this gives it back.
const KEPT_CAPACITY: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(bound: usize) -> Ahead {
        Ahead::new(bound, Account::default())
    }

    fn push(ahead: &mut Ahead, message: Message) {
        ahead.push(message).expect("there is no budget");
    }

    #[test]
    fn empty_messages_fill_it_too() {
        let mut ahead = ahead(1 << 20);
        let mut count = 0;
        while ahead.room() != Room::None {
            push(&mut ahead, Message::binary(Vec::new()));
            count += 1;
        }
        assert_eq!(count, (1 << 20) / MESSAGE_COST);
        let held = ahead.messages.capacity() * size_of::<Message>();
        assert!(held <= 1 << 20, "{held} octets for the places alone");
    }

    #[test]
    fn one_message_is_taken_whatever_the_bound() {
        for bound in [0, 1, 1000] {
            let mut ahead = ahead(bound);
            assert_eq!(ahead.room(), Room::All);
            push(&mut ahead, Message::binary(vec![7; 2000]));
            assert_eq!(ahead.room(), Room::None);
            assert_eq!(ahead.pop(), Some((Message::binary(vec![7; 2000]), true)));
            assert_eq!(ahead.room(), Room::All);
            assert_eq!(ahead.pop(), None);
        }
    }

    #[test]
    fn more_is_asked_for_once_when_half_is_received() {
        let mut ahead = ahead(10 * MESSAGE_COST);
        while ahead.room() != Room::None {
            push(&mut ahead, Message::text(""));
        }
        let asked: Vec<_> = std::iter::from_fn(|| ahead.pop().map(|(_, asks)| asks)).collect();
        let expected: Vec<_> = (1..=10).map(|received| received == 5).collect();
        assert_eq!(asked, expected);
    }

    #[test]
    fn an_empty_one_holds_little() {
        let mut ahead = ahead(1 << 20);
        (0..1000).for_each(|_| push(&mut ahead, Message::text("m")));
        while ahead.pop().is_some() {}
        assert!(ahead.messages.capacity() <= KEPT_CAPACITY);
        (0..10).for_each(|_| push(&mut ahead, Message::text("m")));
        assert_eq!(ahead.take().len(), 10);
        assert!(ahead.is_empty() && ahead.room() == Room::All && ahead.messages.capacity() == 0);
    }
}
