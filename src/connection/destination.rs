//! Reading a large payload straight to its place.

use alloc::vec::Vec;

/// Room for the next octets of the payload that is being received, as they come from the transport.
#[derive(Debug)]
pub struct Destination<'a> {
    payload: &'a mut Vec<u8>,
    room: usize,
}

impl<'a> Destination<'a> {
    pub(super) fn new(payload: &'a mut Vec<u8>, room: usize) -> Self {
        Self { payload, room }
    }

    /// How many octets it takes.
    #[must_use]
    pub fn room(&self) -> usize {
        self.room
    }

    /// Takes as many octets as there is room for; returns how many that were.
    pub fn append(&mut self, octets: &[u8]) -> usize {
        let len = octets.len().min(self.room);
        self.payload.extend_from_slice(&octets[..len]);
        self.room -= len;
        len
    }

    /// Lets `read` write to the room, at most `limit` octets of it, zeroed; it returns how many it wrote.
    ///
    /// # Errors
    ///
    /// What `read` returns; then nothing was taken.
    pub fn fill<E>(
        &mut self,
        limit: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let limit = limit.min(self.room);
        let mut filling = Filling { keep: self.payload.len(), payload: self.payload };
        filling.payload.resize(filling.keep + limit, 0);
        let len = read(&mut filling.payload[filling.keep..])?.min(limit);
        filling.keep += len;
        self.room -= len;
        Ok(len)
    }
}

/// Takes back what was not written, also when `read` fails or panics.
struct Filling<'a> {
    payload: &'a mut Vec<u8>,
    keep: usize,
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        self.payload.truncate(self.keep);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    // 6455-10.4-1
    #[test]
    fn no_more_is_taken_than_there_is_room_for() {
        let mut payload = vec![1];
        let mut destination = Destination::new(&mut payload, 3);
        assert_eq!(destination.append(&[2]), 1);
        assert_eq!(destination.fill(1, |room| Ok::<_, ()>(room.len() + 9)), Ok(1));
        assert_eq!(destination.room(), 1);
        assert_eq!(destination.append(&[4, 5, 6]), 1);
        assert_eq!(destination.append(&[7]), 0);
        assert_eq!(payload, [1, 2, 0, 4]);
    }

    #[test]
    fn what_a_reader_leaves_over_is_not_taken() {
        let mut payload = vec![1];
        let mut destination = Destination::new(&mut payload, 8);
        assert_eq!(destination.fill(8, |_| Err("no")), Err("no"));
        let partly = destination.fill(8, |room| {
            room[..2].copy_from_slice(&[2, 3]);
            Ok::<_, ()>(2)
        });
        assert_eq!((partly, destination.room()), (Ok(2), 6));
        assert_eq!(payload, [1, 2, 3]);
    }
}
