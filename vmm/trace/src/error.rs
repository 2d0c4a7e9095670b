//! What can be wrong with a recording.

use std::{fmt, io};

/// A recording that cannot be read on: where it is wrong, and how.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, byte {offset}: {kind}")]
pub struct TraceError {
    /// Bytes before the line, of the file after decompression.
    pub offset: u64,
    /// Number of the line, from 1; a binary block belongs to the line it begins on.
    pub line: u64,
    /// What is wrong.
    #[source]
    pub kind: ErrorKind,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The file, or its decompression, failed.
    #[error("cannot read on: {0}")]
    Io(io::Error),
    /// The first line is another one.
    #[error("not a QXL recording: the first line is \"{found}\" and not \"SPICE_REPLAY 1\"")]
    NotARecording { found: Excerpt },
    /// The file ends here, in the middle of a record. The reader tells of this by
    /// [`TraceReader::is_cut`](crate::TraceReader::is_cut).
    #[error("the file ends in the middle of a record")]
    Cut,
    /// Another line belongs here.
    #[error("\"{expected}\" expected, found \"{found}\"")]
    Line { expected: String, found: Excerpt },
    /// A number is none, or not one this field can have.
    #[error("{field} = {value}")]
    Value { field: &'static str, value: Excerpt },
    /// A line without an end.
    #[error("a line of more than {0} bytes")]
    LongLine(usize),
    /// More data than a recording may bring.
    #[error("{what} of {bytes} bytes, at most {limit} are read")]
    Budget { what: &'static str, bytes: u64, limit: u64 },
    /// Compressed data that is not what it says.
    #[error("binary {name}: the zlib stream does not give {size} bytes")]
    Zlib { name: &'static str, size: u64 },
    /// Drawables of drivers before QXL revision 2 have another layout.
    #[error("drawables of very old drivers (bitmap_offset) are not supported")]
    OldDrawable,
}

/// A piece of the file that is fit to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// Characters of an excerpt.
    const LENGTH: usize = 60;

    pub(crate) fn of(bytes: &[u8]) -> Self {
        let head = bytes.get(..Self::LENGTH).unwrap_or(bytes);
        let mut text = head.escape_ascii().to_string();
        if head.len() < bytes.len() {
            text.push_str("...");
        }
        Self(text)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
