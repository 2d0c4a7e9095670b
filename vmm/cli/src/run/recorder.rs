//! Recording what a display device says, for `caraway replay`.
//!
//! A [`Recorder`] stands between a device and its display, always. It knows the live surfaces and the cursor, so that a
//! recording can begin at any time: with records that make everything that is there. A thread of its own writes; when
//! it cannot keep up or fails, the recording ends, and the display thread never waits.

mod queue;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use caraway_control::{QmpError, Recording};
use caraway_display::{Display, Watch};
use caraway_ports::{
    display::{CursorState, DisplayCommand, DisplaySink, Pixels, SurfaceSpec},
    geometry::Rect,
};
use caraway_trace::TraceWriter;

use self::queue::Queue;

/// What a device's commands go through on their way to its display.
#[derive(Debug)]
pub(super) struct Recorder {
    display: Arc<Display>,
    /// Held while a recording begins or ends, never together with anything a device waits for.
    session: Mutex<Option<Session>>,
    tap: Mutex<Tap>,
}

/// A recording as those who command it see it.
#[derive(Debug)]
struct Session {
    path: PathBuf,
    queue: Arc<Queue>,
    thread: JoinHandle<()>,
    /// A picture the guest makes by writing to memory is recorded as if somebody looked.
    _watch: Watch,
}

/// What the display thread passes by.
#[derive(Debug, Default)]
struct Tap {
    /// Width and height by number.
    surfaces: BTreeMap<u32, (u32, u32)>,
    cursor: CursorState,
    tee: Option<Tee>,
}

/// Where commands are written, too.
#[derive(Debug)]
struct Tee {
    writer: TraceWriter<Vec<u8>>,
    queue: Arc<Queue>,
}

impl Recorder {
    pub(super) fn new(display: Arc<Display>) -> Arc<Self> {
        Arc::new(Self {
            display,
            session: Mutex::default(),
            tap: Mutex::default(),
        })
    }

    /// Begins a recording to a new file. May wait for the device a little.
    pub(super) fn start(&self, path: &Path) -> Result<(), QmpError> {
        let mut session = lock(&self.session);
        if let Some(running) = session.as_ref().filter(|session| session.queue.error().is_none()) {
            return Err(QmpError::generic(format!(
                "this display is being recorded to {} already",
                running.path.display()
            )));
        }
        // One that failed is not in the way.
        if let Some(failed) = session.take() {
            self.finish(failed);
        }
        let cannot = |error: io::Error| QmpError::generic(format!("cannot record to {}: {error}", path.display()));
        let file = File::create(path).map_err(cannot)?;
        let queue = Arc::new(Queue::default());
        let thread = {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name("record-qxl".to_owned())
                .spawn(move || queue.write_to(file))
                .map_err(cannot)?
        };
        let begun = Session {
            path: path.to_owned(),
            queue,
            thread,
            _watch: self.display.watch(),
        };
        self.display.refresh();
        let result = self.begin(&begun.queue).map_err(cannot);
        match result {
            Ok(()) => *session = Some(begun),
            Err(_) => drop(self.finish(begun)),
        }
        result
    }

    /// Writes what is there, and from now on what comes.
    fn begin(&self, queue: &Arc<Queue>) -> io::Result<()> {
        let mut tap = lock(&self.tap);
        let mut tee = Tee {
            writer: TraceWriter::new(Vec::new())?,
            queue: Arc::clone(queue),
        };
        let mut events = 0;
        for command in tap.everything(&self.display) {
            events += u64::from(tee.writer.write(now(), &command)?);
        }
        queue.begin(std::mem::take(tee.writer.get_mut()), events);
        tap.tee = Some(tee);
        Ok(())
    }

    /// Ends the recording; the file is complete afterwards.
    pub(super) fn stop(&self) -> Result<Recording, QmpError> {
        let ended = lock(&self.session).take();
        let session = ended.ok_or_else(|| QmpError::generic("this display is not being recorded"))?;
        let recording = self.finish(session);
        match &recording.error {
            None => Ok(recording),
            Some(error) => Err(QmpError::generic(format!(
                "the recording to {} ended early, after {} bytes: {error}",
                recording.filename, recording.bytes
            ))),
        }
    }

    /// How the recording is doing.
    pub(super) fn status(&self) -> Option<Recording> {
        lock(&self.session).as_ref().map(Session::describe)
    }

    fn finish(&self, session: Session) -> Recording {
        lock(&self.tap).tee = None;
        session.queue.close();
        let Session {
            path,
            queue,
            thread,
            _watch,
        } = session;
        if thread.join().is_err() {
            queue.fail("the writing thread died".to_owned());
        }
        Recording {
            recording: false,
            ..describe(&path, &queue)
        }
    }
}

impl Session {
    fn describe(&self) -> Recording {
        describe(&self.path, &self.queue)
    }
}

fn describe(path: &Path, queue: &Queue) -> Recording {
    let (bytes, events, error) = queue.figures();
    Recording {
        recording: error.is_none(),
        filename: path.display().to_string(),
        bytes,
        events,
        error,
    }
}

impl DisplaySink for Recorder {
    fn submit(&self, command: DisplayCommand) {
        // Held until the display has the command: a recording that begins must not find it in neither place.
        let mut tap = lock(&self.tap);
        tap.note(&command);
        if let Some(tee) = &mut tap.tee
            && !tee.write(&command)
        {
            tap.tee = None;
        }
        self.display.submit(command);
    }

    fn read(&self, surface: u32, area: Rect) -> Option<Pixels> {
        self.display.read(surface, area)
    }
}

impl Tap {
    fn note(&mut self, command: &DisplayCommand) {
        match command {
            DisplayCommand::CreateSurface(spec) => {
                self.surfaces.insert(spec.id, (spec.width, spec.height));
            }
            DisplayCommand::DestroySurface(id) => {
                self.surfaces.remove(id);
            }
            DisplayCommand::Cursor(command) => self.cursor.apply(command),
            DisplayCommand::Reset => {
                self.surfaces.clear();
                self.cursor = CursorState::default();
            }
            DisplayCommand::Draw(_) | DisplayCommand::Monitors { .. } => {}
        }
    }

    /// The commands that make everything that is there now.
    fn everything(&self, display: &Display) -> Vec<DisplayCommand> {
        let surface = |(id, (width, height)): (&u32, &(u32, u32))| {
            // One the canvas refused has no content.
            let pixels = display.read(*id, Rect::at(0, 0, *width, *height))?;
            Some(DisplayCommand::CreateSurface(SurfaceSpec {
                id: *id,
                width: *width,
                height: *height,
                format: pixels.format,
                pixels: Some(pixels),
            }))
        };
        let mut commands: Vec<_> = self.surfaces.iter().filter_map(surface).collect();
        commands.extend(self.cursor.replay().into_iter().map(DisplayCommand::Cursor));
        commands
    }
}

impl Tee {
    /// Whether the recording goes on.
    fn write(&mut self, command: &DisplayCommand) -> bool {
        match self.writer.write(now(), command) {
            Ok(true) => self.queue.push(std::mem::take(self.writer.get_mut())),
            Ok(false) => true,
            Err(error) => {
                self.queue.fail(error.to_string());
                false
            }
        }
    }
}

/// Nanoseconds of the monotonic clock.
fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = now.tv_sec.unsigned_abs();
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec.unsigned_abs())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
