//! What a stream says of itself, read marker by marker.

use super::JpegError;
use crate::Limits;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DHT: u8 = 0xc4;
/// Baseline.
const SOF0: u8 = 0xc0;

/// The picture of a stream that has been read to its end, but for its blocks.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Whether Huffman tables stand before the first scan.
    pub(super) has_tables: bool,
}

impl Frame {
    pub(super) fn read(data: &[u8], limits: &Limits) -> Result<Self, JpegError> {
        let mut input = Input { data, at: 0 };
        if input.marker()? != SOI {
            return Err(JpegError::NoMarker(0));
        }
        let (mut frame, mut components) = (None::<Self>, 0);
        let (mut frames, mut scans, mut has_tables) = (0, 0, false);
        loop {
            let at = input.at;
            let marker = input.marker()?;
            if marker == EOI {
                break;
            }
            let segment = input.segment(marker)?;
            match marker {
                DHT => has_tables |= scans == 0,
                SOF0 => {
                    let (read, count) = Self::of_segment(segment, at)?;
                    (frame, components) = (Some(read), count);
                    frames += 1;
                }
                // Other kinds of frames, and the tables of arithmetic coding.
                0xc1..=0xcf => return Err(JpegError::NotBaseline(marker)),
                SOS => {
                    scans += 1;
                    input.skip_blocks();
                }
                _ => {}
            }
            if frames > 1 || scans > components {
                return Err(JpegError::Scans {
                    frames,
                    scans,
                    components,
                });
            }
        }
        let (Some(frame), true) = (frame, scans > 0) else {
            return Err(JpegError::Scans {
                frames,
                scans,
                components,
            });
        };
        frame.check_size(data.len(), limits)?;
        Ok(Self { has_tables, ..frame })
    }

    /// Reads a frame header: the picture and how many components it has.
    fn of_segment(segment: &[u8], at: usize) -> Result<(Self, usize), JpegError> {
        let wrong = || JpegError::Segment {
            marker: SOF0,
            at,
            length: segment.len() + 2,
        };
        let Some(([precision, h1, h0, w1, w0, count], rest)) = segment.split_first_chunk() else {
            return Err(wrong());
        };
        if *precision != 8 {
            return Err(JpegError::Precision(*precision));
        }
        if !matches!(count, 1 | 3) {
            return Err(JpegError::Components(*count));
        }
        let (components, &[]) = rest.as_chunks::<3>() else {
            return Err(wrong());
        };
        if components.len() != usize::from(*count) {
            return Err(wrong());
        }
        let factors = components.iter().map(|[_, factors, _]| (factors >> 4, factors & 15));
        for (component, (horizontal, vertical)) in factors.enumerate() {
            if !matches!((horizontal, vertical), (1..=4, 1..=4)) {
                return Err(JpegError::Sampling {
                    component,
                    horizontal,
                    vertical,
                });
            }
        }
        let frame = Self {
            width: u32::from(u16::from_be_bytes([*w1, *w0])),
            height: u32::from(u16::from_be_bytes([*h1, *h0])),
            has_tables: false,
        };
        Ok((frame, components.len()))
    }

    fn check_size(&self, have: usize, limits: &Limits) -> Result<(), JpegError> {
        let (width, height) = (self.width, self.height);
        if width == 0 || height == 0 || !limits.allow(width, height) {
            return Err(JpegError::Size { width, height });
        }
        // A block of 8x8 takes at least a bit each for its first value and its end; the component with most samples
        // has so many blocks.
        let blocks = u64::from(width.div_ceil(8)) * u64::from(height.div_ceil(8));
        if blocks / 4 > have as u64 {
            return Err(JpegError::Short { have, width, height });
        }
        Ok(())
    }
}

struct Input<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    /// The second byte of the marker that comes next; any number of bytes ff may stand before it.
    fn marker(&mut self) -> Result<u8, JpegError> {
        let start = self.at;
        let rest = self.data.get(start..).unwrap_or_default();
        let fill = rest.iter().take_while(|byte| **byte == 0xff).count();
        let Some(marker) = rest.get(fill) else {
            return Err(JpegError::Truncated(self.data.len()));
        };
        if fill == 0 || *marker == 0 {
            return Err(JpegError::NoMarker(start));
        }
        self.at += fill + 1;
        Ok(*marker)
    }

    /// What belongs to a marker, without its length.
    fn segment(&mut self, marker: u8) -> Result<&'a [u8], JpegError> {
        let at = self.at;
        let rest = self.data.get(at..).unwrap_or_default();
        let truncated = JpegError::Truncated(self.data.len());
        let Some((length, _)) = rest.split_first_chunk() else {
            return Err(truncated);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length < 2 {
            return Err(JpegError::Segment { marker, at, length });
        }
        self.at += length;
        rest.get(2..length).ok_or(truncated)
    }

    /// Goes to the next marker that is neither a restart nor a byte of the blocks.
    fn skip_blocks(&mut self) {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let pairs = rest.iter().zip(rest.iter().skip(1));
        let end = pairs
            .enumerate()
            .find(|(_, (first, second))| **first == 0xff && !matches!(second, 0 | 0xd0..=0xd7 | 0xff));
        self.at += end.map_or(rest.len(), |(at, _)| at);
    }
}
