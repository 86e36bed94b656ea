//! The octets of an input, taken from the front as settings.

/// What is left of an input. When nothing is left every octet is zero, so that any input, however short, says everything.
#[derive(Debug, Clone)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub fn octet(&mut self) -> u8 {
        let Some((&octet, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        octet
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.octet())
    }

    /// As many octets as that, or as there are.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Octets that say themselves how many they are, up to 255.
    pub fn short(&mut self) -> &'a [u8] {
        let len = usize::from(self.octet());
        self.take(len)
    }

    /// One of these.
    pub fn choice<T: Copy>(&mut self, among: &[T]) -> T {
        among[usize::from(self.octet()) % among.len()]
    }

    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
