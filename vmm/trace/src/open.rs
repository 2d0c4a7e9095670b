//! Files, plain or compressed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

/// First bytes of a zstd frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The decoder's window is at most 128 MiB, what `zstd --long=27` makes.
const WINDOW_LOG_MAX: u32 = 27;
/// Bytes read at once.
const BUFFER: usize = 256 << 10;

/// A recording's bytes, decompressed.
pub type Input = Box<dyn BufRead + Send>;

/// Opens a recording. One that begins as a zstd file is decompressed while it is read; a file that ends in the middle
/// of its compressed data is one that ends there.
///
/// # Errors
/// When the file cannot be opened or read.
pub fn open(path: &Path) -> io::Result<Input> {
    decompress(BufReader::with_capacity(BUFFER, File::open(path)?))
}

/// The bytes of `input`, decompressed if it begins as a zstd file.
pub(crate) fn decompress(mut input: impl BufRead + Send + 'static) -> io::Result<Input> {
    // Only the beginning of a file can be shorter than this, and then it is no compressed one.
    if !input.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        return Ok(Box::new(input));
    }
    let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(Box::new(BufReader::with_capacity(BUFFER, UntilCut(decoder))))
}

/// A stream whose unexpected end is an end.
struct UntilCut<R>(R);

impl<R: Read> Read for UntilCut<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            other => other,
        }
    }
}
