//! Records: what the stream consists of behind its preamble. Each has a kind, a length, a number and a checksum.

use super::{LiveError, MAGIC, STREAM_VERSION};
use crate::checksum::Fletcher4;

/// Bytes before the first record.
pub(crate) const PREAMBLE: usize = 12;
/// Kind, length, number, checksum.
pub(crate) const HEADER: usize = 4 + 4 + 8 + Fletcher4::SIZE;
/// Pages in a record at most.
pub(crate) const MOST_PAGES: usize = 64;
/// Longest state. The largest records, those of displays, have some MiB.
pub(crate) const MOST_STATE: u32 = 64 << 20;
/// Longest description of a machine.
pub(crate) const MOST_HELLO: u32 = 1 << 20;
/// Longest reason.
pub(crate) const MOST_TEXT: u32 = 4096;
/// Most that is handed over besides the machine.
pub(crate) const MOST_EXTRAS: u32 = 64 << 10;

/// What a record is. Those of the source are below 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hello = 1,
    Pages = 2,
    Zeros = 3,
    Complete = 4,
    Go = 5,
    Cancel = 6,
    Accept = 16,
    Ready = 17,
    Running = 18,
    Refused = 19,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Hello,
        Self::Pages,
        Self::Zeros,
        Self::Complete,
        Self::Go,
        Self::Cancel,
        Self::Accept,
        Self::Ready,
        Self::Running,
        Self::Refused,
    ];

    /// Longest payload.
    const fn most(self) -> u32 {
        match self {
            Self::Hello => MOST_HELLO,
            Self::Pages => 8 + MOST_PAGES as u32 * (8 + 4096),
            Self::Zeros => 8 + MOST_PAGES as u32 * 8,
            Self::Complete => MOST_STATE,
            Self::Go => MOST_EXTRAS,
            Self::Refused => MOST_TEXT,
            Self::Ready => 8,
            Self::Cancel | Self::Accept | Self::Running => 0,
        }
    }
}

/// A record's header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) length: u32,
    pub(crate) number: u64,
    checksum: [u8; Fletcher4::SIZE],
}

impl Header {
    /// The header of a payload in parts, of which all but the last have whole words.
    pub(crate) fn of(kind: Kind, number: u64, parts: &[&[u8]]) -> Result<Self, LiveError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let fits = u32::try_from(length).ok().filter(|length| *length <= kind.most());
        let length = fits.ok_or_else(|| {
            let reason = format!("a {kind:?} record has at most {}", kind.most());
            LiveError::invalid("length", &length, reason)
        })?;
        let mut header = Self {
            kind,
            length,
            number,
            checksum: [0; Fletcher4::SIZE],
        };
        header.checksum = header.sum(parts).to_bytes();
        Ok(header)
    }

    pub(crate) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let fields = self.fields().into_iter().chain(self.checksum);
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    /// Reads a header; `number` is the one that has to come.
    pub(crate) fn parse(bytes: &[u8; HEADER], number: u64) -> Result<Self, LiveError> {
        let mut rest: &[u8] = bytes;
        let kind = u32::from_le_bytes(take(&mut rest));
        let Some(kind) = Kind::ALL.into_iter().find(|known| *known as u32 == kind) else {
            return Err(LiveError::invalid("kind", &kind, "no record is of this kind"));
        };
        let length = u32::from_le_bytes(take(&mut rest));
        if length > kind.most() {
            let reason = format!("a {kind:?} record has at most {}", kind.most());
            return Err(LiveError::invalid("length", &length, reason));
        }
        let found = u64::from_le_bytes(take(&mut rest));
        if found != number {
            let reason = format!("record {number} was to come");
            return Err(LiveError::invalid("number", &found, reason));
        }
        Ok(Self {
            kind,
            length,
            number,
            checksum: take(&mut rest),
        })
    }

    /// Compares the payload with the header.
    pub(crate) fn check(&self, payload: &[u8]) -> Result<(), LiveError> {
        let found = self.sum(&[payload]);
        if found.to_bytes() == self.checksum {
            return Ok(());
        }
        let reason = format!("record {} ({:?}) is damaged", self.number, self.kind);
        Err(LiveError::invalid("checksum", &found, reason))
    }

    fn sum(&self, parts: &[&[u8]]) -> Fletcher4 {
        let mut sum = Fletcher4::of(&self.fields());
        for part in parts {
            sum.update(part);
        }
        sum
    }

    fn fields(&self) -> [u8; 16] {
        let fields = u128::from(self.kind as u32) | u128::from(self.length) << 32 | u128::from(self.number) << 64;
        fields.to_le_bytes()
    }
}

/// What either side says first.
pub(crate) fn preamble() -> [u8; PREAMBLE] {
    let mut bytes = [0; PREAMBLE];
    let fields = MAGIC.into_iter().chain(STREAM_VERSION.to_le_bytes());
    for (to, from) in bytes.iter_mut().zip(fields) {
        *to = from;
    }
    bytes
}

/// Checks what the other side said first.
pub(crate) fn check_preamble(bytes: &[u8; PREAMBLE]) -> Result<(), LiveError> {
    let mut rest: &[u8] = bytes;
    let magic: [u8; 8] = take(&mut rest);
    if magic != MAGIC {
        return Err(LiveError::invalid("magic", &magic.escape_ascii(), "no migration comes"));
    }
    let version = u32::from_le_bytes(take(&mut rest));
    if version != STREAM_VERSION {
        let reason = format!("this program speaks version {STREAM_VERSION}");
        return Err(LiveError::invalid("version", &version, reason));
    }
    Ok(())
}

/// Takes so many bytes off the front; zeros where there are none left.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = bytes.split_first_chunk::<N>().unwrap_or((&[0; N], &[]));
    *bytes = rest;
    *taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_are_read_as_they_were_written() {
        let payload = *b"eightbytes..";
        let header = Header::of(Kind::Go, 7, &[&payload[..8], &payload[8..]]).unwrap();
        let read = Header::parse(&header.to_bytes(), 7).unwrap();
        assert_eq!(read, header);
        read.check(&payload).unwrap();
        check_preamble(&preamble()).unwrap();
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let payload = [1, 2, 3, 4, 5];
        let bytes = Header::of(Kind::Refused, 3, &[&payload]).unwrap().to_bytes();
        for bit in 0..HEADER * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            let read = Header::parse(&bad, 3).and_then(|header| header.check(&payload));
            assert!(read.is_err(), "{bit}");
        }
        for bit in 0..payload.len() * 8 {
            let mut bad = payload;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&bytes, 3).unwrap().check(&bad).is_err(), "{bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: [u8; 16], sum: [u8; 32]) {
            let mut header = [0; HEADER];
            header[..16].copy_from_slice(&bytes);
            header[16..].copy_from_slice(&sum);
            if let Ok(header) = Header::parse(&header, 0) {
                prop_assert!(header.length <= header.kind.most());
            }
        }
    }
}
