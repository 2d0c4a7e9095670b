//! Lines and blocks of the file, each charged against a budget before memory is taken for it.

mod number;

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use caraway_ports::geometry::{Point, Rect};

use self::number::Number;
use crate::{
    error::{ErrorKind, Excerpt, TraceError},
    record::Chunks,
};

/// Longest line of text; real ones stay below 60 bytes.
const LINE_MAX: usize = 256;
/// Memory for a block grows by this much at least, and only as its bytes arrive.
const STEP: usize = 1 << 20;

/// How much a recording may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one binary block, or of all chunks of one list.
    pub block: u64,
    /// Bytes of one record, text and blocks.
    pub record: u64,
    /// Bytes of the file after decompression.
    pub file: u64,
}

impl Default for Limits {
    /// 256 MiB a block, the largest screen; 320 MiB a record; 64 GiB a file.
    fn default() -> Self {
        Self {
            block: 256 << 20,
            record: 320 << 20,
            file: 64 << 30,
        }
    }
}

/// Reads the file piece by piece.
#[derive(Debug)]
pub(crate) struct Scanner<R> {
    input: R,
    limits: Limits,
    /// Bytes taken from the input.
    taken: u64,
    /// Where the current line begins.
    line_start: u64,
    line: u64,
    text: Vec<u8>,
    /// The line in `text` is to be read again.
    held: bool,
    record_left: u64,
}

impl<R: BufRead> Scanner<R> {
    pub(crate) const fn new(input: R, limits: Limits) -> Self {
        Self {
            input,
            limits,
            taken: 0,
            line_start: 0,
            line: 0,
            text: Vec::new(),
            held: false,
            record_left: limits.record,
        }
    }

    /// An error on the current line.
    pub(crate) const fn error(&self, kind: ErrorKind) -> TraceError {
        TraceError {
            offset: self.line_start,
            line: self.line,
            kind,
        }
    }

    pub(crate) fn value_error(&self, field: &'static str, value: impl std::fmt::Display) -> TraceError {
        self.error(ErrorKind::Value {
            field,
            value: Excerpt::of(value.to_string().as_bytes()),
        })
    }

    fn line_error(&self, expected: &str, found: &[u8]) -> TraceError {
        self.error(ErrorKind::Line {
            expected: expected.to_owned(),
            found: Excerpt::of(found),
        })
    }

    /// The current line, for an error.
    pub(crate) fn excerpt(&self) -> Excerpt {
        Excerpt::of(&self.text)
    }

    /// A new record begins: its budget is full.
    pub(crate) const fn begin_record(&mut self) {
        self.record_left = self.limits.record;
    }

    /// Whether there is another byte.
    pub(crate) fn at_end(&mut self) -> Result<bool, TraceError> {
        Ok(!self.held && self.available()?.is_empty())
    }

    /// Bytes that are there; none at the end.
    fn available(&mut self) -> Result<&[u8], TraceError> {
        loop {
            match self.input.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(ErrorKind::Io(error))),
            }
        }
        // The buffer is filled: this is what it has.
        let available = self.input.fill_buf().unwrap_or_default();
        Ok(available)
    }

    fn consume(&mut self, count: usize) -> Result<(), TraceError> {
        self.input.consume(count);
        let bytes = count as u64;
        self.taken = self.taken.saturating_add(bytes);
        if self.taken > self.limits.file {
            return Err(self.error(ErrorKind::Budget {
                what: "file",
                bytes: self.taken,
                limit: self.limits.file,
            }));
        }
        match self.record_left.checked_sub(bytes) {
            Some(left) => self.record_left = left,
            None => {
                return Err(self.error(ErrorKind::Budget {
                    what: "record",
                    bytes: self.limits.record.saturating_add(1),
                    limit: self.limits.record,
                }));
            }
        }
        Ok(())
    }

    fn begin_line(&mut self) {
        self.line += 1;
        self.line_start = self.taken;
        self.text.clear();
    }

    /// Appends to `text` what comes before `end`, which is passed over.
    fn until(&mut self, end: u8) -> Result<(), TraceError> {
        loop {
            let available = self.available()?;
            if available.is_empty() {
                return Err(self.error(ErrorKind::Cut));
            }
            let found = available.iter().position(|byte| *byte == end);
            let count = found.unwrap_or(available.len());
            let room = LINE_MAX.saturating_sub(self.text.len());
            let (input, text) = (&mut self.input, &mut self.text);
            let piece = input.fill_buf().unwrap_or_default();
            text.extend_from_slice(piece.get(..count.min(room)).unwrap_or_default());
            if count > room {
                return Err(self.error(ErrorKind::LongLine(LINE_MAX)));
            }
            self.consume(count + usize::from(found.is_some()))?;
            if found.is_some() {
                return Ok(());
            }
        }
    }

    /// Reads a line of text into `text`.
    pub(crate) fn next_line(&mut self) -> Result<(), TraceError> {
        if std::mem::take(&mut self.held) {
            return Ok(());
        }
        self.begin_line();
        self.until(b'\n')
    }

    /// Whether the next line begins with `start`; it stays the next one. False at the end of the file.
    pub(crate) fn next_starts_with(&mut self, start: &str) -> Result<bool, TraceError> {
        if self.at_end()? {
            return Ok(false);
        }
        self.next_line()?;
        self.held = true;
        Ok(self.text.starts_with(start.as_bytes()))
    }

    /// Whether the line just read is this one.
    pub(crate) fn line_is(&self, line: &str) -> bool {
        self.text == line.as_bytes()
    }

    /// A line that is nothing but a keyword.
    pub(crate) fn keyword(&mut self, keyword: &'static str) -> Result<(), TraceError> {
        self.next_line()?;
        if self.line_is(keyword) {
            return Ok(());
        }
        Err(self.line_error(keyword, &self.text))
    }

    /// The words of the current line after its keyword; without keyword, those of the whole line.
    fn words<const N: usize>(&self, keyword: &'static str) -> Result<[&str; N], TraceError> {
        let found = std::str::from_utf8(&self.text).ok().and_then(|text| {
            let rest = if keyword.is_empty() {
                text
            } else {
                text.strip_prefix(keyword)?.strip_prefix(' ')?
            };
            let mut words = rest.split(' ');
            let mut found = [""; N];
            for word in &mut found {
                *word = words.next()?;
            }
            words.next().is_none().then_some(found)
        });
        match found {
            Some(found) => Ok(found),
            None if keyword.is_empty() => Err(self.line_error(&format!("{N} numbers"), &self.text)),
            None => Err(self.line_error(keyword, &self.text)),
        }
    }

    fn parse<T: Number>(&self, field: &'static str, text: &str) -> Result<T, TraceError> {
        T::parse(text).ok_or_else(|| self.value_error(field, text))
    }

    /// `keyword n`.
    pub(crate) fn number<T: Number + Copy + Default>(&mut self, keyword: &'static str) -> Result<T, TraceError> {
        let [value] = self.numbers(keyword, &[keyword])?;
        Ok(value)
    }

    /// `keyword n n ...`, all of one type; `fields` names them in errors.
    pub(crate) fn numbers<T: Number + Copy + Default, const N: usize>(
        &mut self,
        keyword: &'static str,
        fields: &[&'static str; N],
    ) -> Result<[T; N], TraceError> {
        self.next_line()?;
        let words = self.words::<N>(keyword)?;
        let mut values = [T::default(); N];
        for ((value, field), word) in values.iter_mut().zip(fields).zip(words) {
            *value = self.parse(field, word)?;
        }
        Ok(values)
    }

    /// `point x y`.
    pub(crate) fn point(&mut self) -> Result<Point, TraceError> {
        let [x, y] = self.numbers("point", &["point x", "point y"])?;
        Ok(Point { x, y })
    }

    /// `keyword x y` of 16 bits each.
    pub(crate) fn point16(&mut self, keyword: &'static str) -> Result<Point, TraceError> {
        let [x, y] = self.numbers::<i16, 2>(keyword, &[keyword, keyword])?;
        Ok(Point {
            x: x.into(),
            y: y.into(),
        })
    }

    /// `rect NAME top left bottom right`; `keyword` is `rect NAME`.
    pub(crate) fn rect(&mut self, keyword: &'static str) -> Result<Rect, TraceError> {
        let [top, left, bottom, right] = self.numbers(keyword, &[keyword; 4])?;
        Ok(Rect {
            top,
            left,
            bottom,
            right,
        })
    }

    /// Data in chunks.
    pub(crate) fn chunks(&mut self, name: &'static str) -> Result<Chunks, TraceError> {
        let [more, total] = self.numbers::<u32, 2>("data_chunks", &["data_chunks", "data_chunks total"])?;
        self.check_block(total.into())?;
        let mut data = Vec::new();
        for _ in 0..=u64::from(more) {
            self.block(name, &mut data)?;
            if data.len() as u64 > total.into() {
                return Err(self.value_error("data_chunks total", total));
            }
        }
        if data.len() as u64 != total.into() {
            return Err(self.value_error("data_chunks total", total));
        }
        Ok(Chunks {
            data: Bytes::from(data),
            more,
        })
    }

    /// A block of bytes.
    pub(crate) fn binary(&mut self, name: &'static str) -> Result<Bytes, TraceError> {
        let mut data = Vec::new();
        self.block(name, &mut data)?;
        Ok(Bytes::from(data))
    }

    const fn check_block(&self, bytes: u64) -> Result<(), TraceError> {
        if bytes > self.limits.block {
            return Err(self.error(ErrorKind::Budget {
                what: "block",
                bytes,
                limit: self.limits.block,
            }));
        }
        if bytes > self.record_left {
            return Err(self.error(ErrorKind::Budget {
                what: "record",
                bytes: self
                    .limits
                    .record
                    .saturating_sub(self.record_left)
                    .saturating_add(bytes),
                limit: self.limits.record,
            }));
        }
        Ok(())
    }

    /// Appends a block to `data`.
    fn block(&mut self, name: &'static str, data: &mut Vec<u8>) -> Result<(), TraceError> {
        let head = self.block_head()?;
        let expected = || format!("binary 0 {name}");
        let found = std::str::from_utf8(&head).ok().and_then(|text| {
            let mut words = text.strip_prefix("binary ")?.split(' ');
            let found = (words.next()?, words.next()?, words.next()?);
            (found.1 == name && words.next().is_none()).then_some(found)
        });
        let Some((compressed, _, size)) = found else {
            return Err(self.line_error(&expected(), &head));
        };
        let compressed: bool = self.parse("binary", compressed)?;
        let size = u64::from(self.parse::<u32>("binary size", size)?);
        self.check_block(size)?;
        if compressed {
            self.text.clear();
            self.until(b':')?;
            let text = String::from_utf8_lossy(&self.text).into_owned();
            let packed_size = u64::from(self.parse::<u32>("binary compressed size", &text)?);
            self.check_block(packed_size.saturating_add(size))?;
            self.record_left = self.record_left.saturating_sub(size);
            let mut packed = Vec::new();
            self.take(packed_size, &mut packed)?;
            inflate(&packed, size, data).ok_or_else(|| self.error(ErrorKind::Zlib { name, size }))?;
        } else {
            self.take(size, data)?;
        }
        self.text.clear();
        self.until(b'\n')?;
        if self.text.is_empty() {
            return Ok(());
        }
        Err(self.line_error("an end of line after the block", &self.text))
    }

    /// The line of a block up to its first colon.
    fn block_head(&mut self) -> Result<Vec<u8>, TraceError> {
        if self.held {
            return Err(self.line_error("binary", &self.text));
        }
        self.begin_line();
        let result = self.until(b':');
        // Another line, which has no colon, may be there instead.
        if let Some(line) = self.text.split(|byte| *byte == b'\n').next()
            && line.len() < self.text.len()
        {
            return Err(self.line_error("binary", line));
        }
        result.map(|()| self.text.clone())
    }

    /// Appends `count` bytes of the file to `data`.
    fn take(&mut self, count: u64, data: &mut Vec<u8>) -> Result<(), TraceError> {
        let mut left = usize::try_from(count).map_err(|_| self.error(ErrorKind::Cut))?;
        while left > 0 {
            let available = self.available()?;
            if available.is_empty() {
                return Err(self.error(ErrorKind::Cut));
            }
            let step = available.len().min(left);
            if data.capacity() - data.len() < step {
                // Doubled, but never more than what is to come.
                data.reserve_exact(left.min(data.len().max(STEP)).max(step));
            }
            let piece = self.input.fill_buf().unwrap_or_default();
            data.extend_from_slice(piece.get(..step).unwrap_or_default());
            self.consume(step)?;
            left -= step;
        }
        Ok(())
    }
}

/// Appends the `size` bytes a zlib stream consists of; `None` when it is another stream.
fn inflate(packed: &[u8], size: u64, data: &mut Vec<u8>) -> Option<()> {
    let before = data.len() as u64;
    let mut stream = flate2::bufread::ZlibDecoder::new(packed);
    // One byte more than there may be, to see a longer stream.
    (&mut stream).take(size.checked_add(1)?).read_to_end(data).ok()?;
    (data.len() as u64 - before == size && stream.total_in() == packed.len() as u64).then_some(())
}
