//! Records out of a file.

mod draw;

use std::io::BufRead;

use bytes::Bytes;

use crate::{
    HEADER, KEEP_DATA,
    error::{ErrorKind, TraceError},
    record::{Command, Cursor, Event, NewSurface, Primary, Request, Shape, Surface, Update, What},
    request,
    scan::{Limits, Scanner},
};

/// Reads a recording record by record, strictly: every line has to be the one that belongs there.
///
/// The iterator ends at the end of the file, or after the first error. A file that ends in the middle of a record is
/// used up to there, and [`is_cut`](Self::is_cut) says so.
#[derive(Debug)]
pub struct TraceReader<R> {
    scanner: Scanner<R>,
    next: u32,
    ended: bool,
    cut: bool,
}

impl<R: BufRead> TraceReader<R> {
    /// A reader of a recording, whose first line is read.
    ///
    /// # Errors
    /// When it is no recording.
    pub fn new(input: R, limits: Limits) -> Result<Self, TraceError> {
        let mut scanner = Scanner::new(input, limits);
        let not_a_recording = |scanner: &Scanner<R>| {
            let found = scanner.excerpt();
            scanner.error(ErrorKind::NotARecording { found })
        };
        match scanner.next_line() {
            Ok(()) if scanner.line_is(HEADER) => {}
            Ok(()) => return Err(not_a_recording(&scanner)),
            Err(error) if matches!(error.kind, ErrorKind::Cut | ErrorKind::LongLine(_)) => {
                return Err(not_a_recording(&scanner));
            }
            Err(error) => return Err(error),
        }
        Ok(Self {
            scanner,
            next: 0,
            ended: false,
            cut: false,
        })
    }

    /// Whether the file ended in the middle of a record, which was left out.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    fn read(&mut self) -> Result<Option<Event>, TraceError> {
        let scanner = &mut self.scanner;
        if scanner.at_end()? {
            return Ok(None);
        }
        scanner.begin_record();
        let [counter, what, kind, time] =
            scanner.numbers::<u64, 4>("event", &["event counter", "event kind", "event type", "event time"])?;
        if counter != u64::from(self.next) {
            return Err(scanner.value_error("event counter", counter));
        }
        let what = match what {
            0 => What::Command(scanner.command(kind)?),
            1 => What::Request(scanner.request(kind)?),
            other => return Err(scanner.value_error("event kind", other)),
        };
        let event = Event {
            counter: self.next,
            time,
            what,
        };
        self.next = self.next.wrapping_add(1);
        Ok(Some(event))
    }
}

impl<R: BufRead> Iterator for TraceReader<R> {
    type Item = Result<Event, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let result = self.read();
        self.ended = !matches!(result, Ok(Some(_)));
        match result {
            Err(TraceError {
                kind: ErrorKind::Cut, ..
            }) => {
                self.cut = true;
                None
            }
            other => other.transpose(),
        }
    }
}

impl<R: BufRead> Scanner<R> {
    fn command(&mut self, kind: u64) -> Result<Command, TraceError> {
        Ok(match kind {
            1 => Command::Draw(Box::new(self.drawable()?)),
            2 => {
                self.keyword("update")?;
                Command::Update(Update {
                    area: self.rect("rect area")?,
                    id: self.number("update_id")?,
                    surface: self.number("surface_id")?,
                })
            }
            3 => Command::Cursor(self.cursor()?),
            4 => Command::Message(self.binary("message")?),
            5 => Command::Surface(self.surface()?),
            other => return Err(self.value_error("event type", other)),
        })
    }

    fn request(&mut self, number: u64) -> Result<Request, TraceError> {
        let number = u32::try_from(number).map_err(|_| self.value_error("event type", number))?;
        let creates = matches!(number, request::CREATE_PRIMARY | request::CREATE_PRIMARY_ASYNC);
        // The body is missing when the server refused.
        let refused = !creates || self.at_end()? || self.next_starts_with("event ")?;
        Ok(Request {
            number,
            primary: if refused { None } else { Some(self.primary()?) },
        })
    }

    fn primary(&mut self) -> Result<Primary, TraceError> {
        let [width, height, stride, format] = self.numbers::<u32, 4>(
            "",
            &["primary width", "primary height", "primary stride", "primary format"],
        )?;
        let [position, mouse_mode, flags, kind] = self.numbers::<u32, 4>(
            "",
            &[
                "primary position",
                "primary mouse mode",
                "primary flags",
                "primary type",
            ],
        )?;
        let stride = stride.cast_signed();
        Ok(Primary {
            width,
            height,
            stride,
            format,
            position,
            mouse_mode,
            flags,
            kind,
            data: self.surface_data(height, stride)?,
        })
    }

    /// The memory of a surface: as many bytes as its geometry says.
    fn surface_data(&mut self, height: u32, stride: i32) -> Result<Bytes, TraceError> {
        let data = self.binary("data")?;
        if data.len() as u64 != u64::from(stride.unsigned_abs()) * u64::from(height) {
            return Err(self.value_error("bytes of the surface", data.len()));
        }
        Ok(data)
    }

    fn surface(&mut self) -> Result<Surface, TraceError> {
        const CREATE: u8 = 0;
        const DESTROY: u8 = 1;
        self.keyword("surface_cmd")?;
        let id = self.number("surface_id")?;
        let kind = self.number::<u8>("type")?;
        let flags = self.number("flags")?;
        let create = match kind {
            CREATE => {
                let format = self.number("u.surface_create.format")?;
                let width = self.number("u.surface_create.width")?;
                let height = self.number("u.surface_create.height")?;
                let stride = self.number("u.surface_create.stride")?;
                let data = if flags & KEEP_DATA == 0 {
                    None
                } else {
                    Some(self.surface_data(height, stride)?)
                };
                Some(NewSurface {
                    format,
                    width,
                    height,
                    stride,
                    data,
                })
            }
            DESTROY => None,
            other => return Err(self.value_error("type", other)),
        };
        Ok(Surface { id, flags, create })
    }

    fn cursor(&mut self) -> Result<Cursor, TraceError> {
        self.keyword("cursor_cmd")?;
        Ok(match self.number::<u8>("type")? {
            0 => Cursor::Set(Box::new(Shape {
                position: self.point16("point16")?,
                visible: self.number::<u8>("u.set.visible")? != 0,
                unique: self.number("header.unique")?,
                kind: self.number("header.type")?,
                width: self.number("header.width")?,
                height: self.number("header.height")?,
                hot_spot: (self.number("header.hot_spot_x")?, self.number("header.hot_spot_y")?),
                data_size: self.number("data_size")?,
                data: self.chunks("cursor")?,
            })),
            1 => Cursor::Move(self.point16("point16")?),
            2 => Cursor::Hide,
            3 => Cursor::Trail {
                length: self.number("u.trail.length")?,
                frequency: self.number("u.trail.frequency")?,
            },
            other => return Err(self.value_error("type", other)),
        })
    }
}
