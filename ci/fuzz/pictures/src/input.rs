//! Bytes read as numbers: what is behind the end is zero.

#[derive(Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes, or as many as are left.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        *first
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    pub(crate) fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn long(&mut self) -> u32 {
        u32::from(self.word()) | u32::from(self.word()) << 16
    }

    /// Mostly small, sometimes anything, sometimes what overflows.
    pub(crate) fn number(&mut self) -> i32 {
        match self.byte() {
            252 => self.long().cast_signed(),
            253 => i32::MIN,
            254 => i32::MAX,
            255 => i32::from(self.word().cast_signed()),
            small => i32::from(small) - 100,
        }
    }

    /// Up to `count` bytes, as they come; the rest is filled by repeating a byte.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let fill = self.byte();
        let length = usize::from(self.byte()).min(count);
        let mut bytes = self.take(length).to_vec();
        let take = bytes.len();
        // Not all the same, so that what moves is seen.
        bytes.extend((take..count).map(|at| fill.wrapping_mul(1 + (at % 251) as u8)));
        bytes
    }
}
