//! ZLIB_GLZ: one whole GLZ stream in one zlib stream (RFC 1950), for links slow enough that it pays.
//!
//! The message says how many bytes the GLZ stream has; the image in it takes part in the dictionary like any other.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use thiserror::Error;

use crate::Limits;

/// Shorter GLZ streams are not worth wrapping.
pub const MIN_BYTES: usize = 100;
/// The level of the reference: most of what can be had, at a third of the time of the usual one.
const LEVEL: u32 = 3;
/// No byte of a zlib stream stands for more bytes.
const MAX_RATIO: usize = 1032;
/// Bytes of the longest GLZ stream for a pixel: a match of one pixel in seven bytes, one of three alphas in seven. Its
/// header comes on top.
const MAX_PER_PIXEL: u64 = 10;
const GLZ_HEADER_BYTES: u64 = 33;

/// Why a stream cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ZlibGlzError {
    /// More bytes than the GLZ stream of an image that is allowed can have.
    #[error("ZLIB_GLZ says that its GLZ stream has {glz_size} bytes, {allowed} are allowed")]
    Size {
        /// What the message says.
        glz_size: u32,
        /// What the limits allow.
        allowed: u64,
    },
    /// Not a zlib stream, or a damaged one.
    #[error("ZLIB_GLZ data is no zlib stream after {produced} of {expected} bytes")]
    Data {
        /// Bytes inflated until then.
        produced: u64,
        /// What the message says.
        expected: u32,
    },
    /// The input ends too early.
    #[error("ZLIB_GLZ data ends after {produced} of {expected} bytes")]
    Truncated {
        /// Bytes inflated until then.
        produced: u64,
        /// What the message says.
        expected: u32,
    },
    /// The stream goes on, or ends before.
    #[error("ZLIB_GLZ data has more or fewer than {expected} bytes: {produced} when they were counted")]
    Length {
        /// Bytes inflated until then.
        produced: u64,
        /// What the message says.
        expected: u32,
    },
    /// There is input after the stream.
    #[error("{0} bytes follow the ZLIB_GLZ data")]
    Trailing(u64),
}

/// Inflates streams, with memory of its own that it uses again.
#[derive(Debug)]
pub struct ZlibDecoder {
    state: Decompress,
}

impl Default for ZlibDecoder {
    fn default() -> Self {
        Self {
            state: Decompress::new(true),
        }
    }
}

impl ZlibDecoder {
    /// One for any number of streams.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The GLZ stream of `glz_size` bytes that is in `data`.
    ///
    /// # Errors
    /// Data that is no zlib stream of so many bytes, a size that no image within `limits` can have. Memory is taken
    /// only for a size that is within the limits and that the input is long enough to fill.
    pub fn decode(&mut self, data: &[u8], glz_size: u32, limits: &Limits) -> Result<Vec<u8>, ZlibGlzError> {
        let expected = glz_size;
        let allowed = limits.max_pixels.saturating_mul(MAX_PER_PIXEL);
        let allowed = allowed.saturating_add(GLZ_HEADER_BYTES);
        if u64::from(glz_size) > allowed {
            return Err(ZlibGlzError::Size { glz_size, allowed });
        }
        if glz_size as usize / MAX_RATIO > data.len() {
            return Err(ZlibGlzError::Truncated { produced: 0, expected });
        }
        let mut glz = vec![0; glz_size as usize];
        self.state.reset(true);
        let status = self.state.decompress(data, &mut glz, FlushDecompress::Finish);
        let (taken, produced) = (self.state.total_in(), self.state.total_out());
        match status {
            Err(_) => Err(ZlibGlzError::Data { produced, expected }),
            Ok(Status::StreamEnd) if produced != u64::from(glz_size) => {
                Err(ZlibGlzError::Length { produced, expected })
            }
            Ok(Status::StreamEnd) if taken != data.len() as u64 => {
                Err(ZlibGlzError::Trailing(data.len() as u64 - taken))
            }
            Ok(Status::StreamEnd) => Ok(glz),
            Ok(_) if taken < data.len() as u64 => Err(ZlibGlzError::Length { produced, expected }),
            Ok(_) => Err(ZlibGlzError::Truncated { produced, expected }),
        }
    }
}

/// Wraps GLZ streams, with memory of its own that it uses again.
#[derive(Debug)]
pub struct ZlibEncoder {
    state: Compress,
}

impl Default for ZlibEncoder {
    fn default() -> Self {
        Self {
            state: Compress::new(Compression::new(LEVEL), true),
        }
    }
}

impl ZlibEncoder {
    /// One for any number of streams.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The zlib stream of a GLZ stream; `None` when that has fewer than [`MIN_BYTES`] or is no longer than its zlib
    /// stream: send it as it is, without encoding the image again.
    #[must_use]
    pub fn encode(&mut self, glz: &[u8]) -> Option<Vec<u8>> {
        if glz.len() < MIN_BYTES {
            return None;
        }
        let mut out = vec![0; glz.len() - 1];
        self.state.reset();
        match self.state.compress(glz, &mut out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => {
                // At most the length of `out`.
                out.truncate(self.state.total_out() as usize);
                Some(out)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::glz::records::{Record, records, sequences};

    /// The wrapped images of the reference.
    fn wrapped() -> Vec<Record> {
        let sequences = sequences();
        let records = sequences.iter().flat_map(records);
        let wrapped: Vec<Record> = records.filter(|record| record.zlib).collect();
        assert!(wrapped.len() > 10);
        wrapped
    }

    fn decode(data: &[u8], size: usize) -> Result<Vec<u8>, ZlibGlzError> {
        ZlibDecoder::new().decode(data, size as u32, &Limits::default())
    }

    #[test]
    fn reference_streams_inflate_and_own_ones_are_about_as_long() {
        let (mut decoder, mut encoder) = (ZlibDecoder::new(), ZlibEncoder::new());
        let (mut own, mut reference) = (0, 0);
        for record in wrapped() {
            let size = record.stream.len() as u32;
            let glz = decoder.decode(&record.payload, size, &Limits::default());
            assert_eq!(glz.as_ref(), Ok(&record.stream));
            let again = encoder.encode(&record.stream).unwrap();
            assert_eq!(decoder.decode(&again, size, &Limits::default()), glz);
            own += again.len();
            reference += record.payload.len();
        }
        assert!(own <= reference + reference / 20, "{own} bytes for {reference}");
    }

    #[test]
    fn what_does_not_get_shorter_is_not_wrapped() {
        let mut encoder = ZlibEncoder::new();
        assert_eq!(encoder.encode(&[7; MIN_BYTES - 1]), None);
        assert!(
            encoder
                .encode(&[7; MIN_BYTES])
                .is_some_and(|data| data.len() < MIN_BYTES / 2)
        );
        let mixed = (0..2000u32).map(|at| at.wrapping_mul(0x9e37_79b1));
        let noise: Vec<u8> = mixed
            .map(|at| ((at ^ (at >> 15)).wrapping_mul(0x2c1b_3c6d) >> 24) as u8)
            .collect();
        assert_eq!(encoder.encode(&noise), None);
        assert!(encoder.encode(&[7; MIN_BYTES]).is_some(), "one failure harms no other");
    }

    #[test]
    fn every_cut_and_every_other_size_is_an_error() {
        for record in wrapped() {
            let (data, size) = (&record.payload, record.stream.len());
            for length in (0..data.len()).step_by((data.len() / 100).max(1)) {
                let error = decode(&data[..length], size).unwrap_err();
                assert!(
                    matches!(error, ZlibGlzError::Truncated { .. } | ZlibGlzError::Length { .. }),
                    "{error}"
                );
            }
            let longer = [&data[..], &[0, 0]].concat();
            assert_eq!(decode(&longer, size), Err(ZlibGlzError::Trailing(2)));
            for other in [0, 1, size - 1, size + 1, size + 300] {
                let error = decode(data, other).unwrap_err();
                assert!(matches!(error, ZlibGlzError::Length { .. }), "{other}: {error}");
            }
            assert!(matches!(
                decode(&data[1..], size),
                Err(ZlibGlzError::Data { produced: 0, .. })
            ));
        }
    }

    #[test]
    fn a_wrong_checksum_is_noticed() {
        let mut data = ZlibEncoder::new().encode(&[7; 1000]).unwrap();
        *data.last_mut().unwrap() ^= 1;
        assert_eq!(
            decode(&data, 1000),
            Err(ZlibGlzError::Data {
                produced: 1000,
                expected: 1000
            })
        );
    }

    #[test]
    fn memory_is_taken_only_within_limits_and_for_input_that_can_fill_it() {
        let small = Limits::exactly(10, 10);
        let decode = |size| ZlibDecoder::new().decode(&[0x78, 0x9c], size, &small);
        let refused = ZlibGlzError::Size {
            glz_size: 1034,
            allowed: 1033,
        };
        assert_eq!(decode(1034), Err(refused));
        assert!(matches!(decode(u32::MAX), Err(ZlibGlzError::Size { .. })));
        assert_eq!(
            decode(1033),
            Err(ZlibGlzError::Truncated {
                produced: 0,
                expected: 1033
            })
        );
        let expected = 3 * MAX_RATIO as u32;
        assert_eq!(
            ZlibDecoder::new().decode(&[0x78, 0x9c], expected, &Limits::default()),
            Err(ZlibGlzError::Truncated { produced: 0, expected })
        );
    }

    proptest! {
        #[test]
        fn damaged_streams_inflate_or_fail_without_harm(
            bytes in vec(any::<u8>(), 1..50), repeats in 20..200usize,
            damage in vec((any::<prop::sample::Index>(), 0..8u32), 1..6),
        ) {
            let glz = bytes.repeat(repeats.max(100 / bytes.len() + 1));
            if let Some(mut data) = ZlibEncoder::new().encode(&glz) {
                for (at, bit) in damage {
                    let at = at.index(data.len());
                    data[at] ^= 1 << bit;
                }
                if let Ok(inflated) = decode(&data, glz.len()) {
                    prop_assert_eq!(inflated.len(), glz.len());
                }
            }
        }
    }
}
