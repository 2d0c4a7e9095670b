//! The worker's side of the device: jobs and ring commands in one order (ABI 5, 10, 14, 15, 18). No threads here: the
//! shell calls [`Worker::step`] on the display thread, tests call it where they are.

mod commands;
mod modes;

use std::sync::Arc;

use caraway_ports::{
    display::{CursorCommand, CursorState, DisplayCommand, DisplaySink},
    geometry::Rect,
};

use crate::{
    core::{ClientNews, Core, GuestBug, Job, Mode, Request, Work},
    counters::Counter,
    interrupts,
    memory::SlotTable,
    monitors::MonitorsConfig,
    parse::Layout,
    ring::{CommandRing, Held, ReleaseRing, RingCorrupt},
    rom::Rom,
    surfaces::{Backing, Surface, SurfaceTable},
    vga::VgaScreen,
};

/// What a step found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There may be more.
    Busy,
    /// Nothing until a doorbell rings or a port is written. With `unreturned`, finished commands wait for the guest to
    /// take earlier ones, which it does without a word: worth another look after a while.
    Idle { unreturned: bool },
}

/// Everything only the worker touches.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) core: Arc<Core>,
    pub(crate) sink: SinkHandle,
    pub(crate) rom: Rom,
    /// Resets done.
    pub(crate) epoch: u64,
    /// Whether the rings are taken from: not in VGA mode.
    pub(crate) consuming: bool,
    /// How commands are laid out: as in the mode the guest is in.
    pub(crate) layout: Layout,
    pub(crate) slots: SlotTable,
    pub(crate) commands: CommandRing,
    pub(crate) cursor_commands: CommandRing,
    pub(crate) release: ReleaseRing,
    pub(crate) surfaces: SurfaceTable,
    pub(crate) cursor: CursorState,
    pub(crate) monitors: Option<MonitorsConfig>,
    /// The picture without a driver.
    pub(crate) vga: VgaScreen,
}

/// The viewer; only there because trait objects are not `Debug`.
#[derive(Clone)]
pub(crate) struct SinkHandle(pub(crate) Arc<dyn DisplaySink>);

impl std::fmt::Debug for SinkHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DisplaySink")
    }
}

impl Worker {
    /// A worker in the power-on state. The RAM header is left as it is.
    pub(crate) fn new(core: Arc<Core>, rom: Rom, sink: Arc<dyn DisplaySink>) -> Self {
        let consuming = core.config.idle_mode() != Mode::Vga;
        Self {
            vga: VgaScreen::new(&core.memory.ram),
            core,
            sink: SinkHandle(sink),
            rom,
            epoch: 0,
            consuming,
            layout: Layout::Native,
            slots: SlotTable::default(),
            commands: CommandRing::command(0),
            cursor_commands: CommandRing::cursor(0),
            release: ReleaseRing::new(0, None),
            surfaces: SurfaceTable::default(),
            cursor: CursorState::default(),
            monitors: None,
        }
    }

    /// Does one job or one ring command.
    pub(crate) fn step(&mut self) -> Step {
        if let Some(work) = self.core.next_work() {
            self.work(work);
            return Step::Busy;
        }
        match self.take_one() {
            Ok(true) => Step::Busy,
            Ok(false) => self.go_idle().unwrap_or_else(|corrupt| self.corrupt(&corrupt)),
            Err(corrupt) => self.corrupt(&corrupt),
        }
    }

    /// Brings the device to rest: jobs and commands that are there are done, guest memory holds every picture.
    pub(crate) fn quiesce(&mut self) {
        self.run_jobs();
        self.drain();
        self.write_back_all();
    }

    /// Does the jobs that are there.
    pub(crate) fn run_jobs(&mut self) {
        while let Some(work) = self.core.next_work() {
            self.work(work);
        }
    }

    fn work(&mut self, work: Work) {
        match work {
            Work::Job(job) => self.run(&job),
            Work::News(news) => self.pass_on(news),
        }
    }

    fn pass_on(&mut self, news: ClientNews) {
        if let Some((present, capabilities)) = news.client
            && self.rom.set_client(present, &capabilities)
        {
            self.core.interrupts.raise(interrupts::CLIENT);
        }
        if let Some(heads) = news.heads
            && self.rom.set_client_heads(heads)
        {
            self.core.interrupts.raise(interrupts::CLIENT_MONITORS);
        }
    }

    fn corrupt(&mut self, corrupt: &RingCorrupt) -> Step {
        self.core.guest_bug(self.epoch, &GuestBug(corrupt.to_string()));
        Step::Idle { unreturned: false }
    }

    /// Takes the next command, cursor first. Whether there was one.
    fn take_one(&mut self) -> Result<bool, RingCorrupt> {
        Ok(self.take_cursor_command()? || self.take_command()?)
    }

    fn may_take(&self) -> bool {
        self.consuming && self.core.may_consume(self.epoch)
    }

    fn take_cursor_command(&mut self) -> Result<bool, RingCorrupt> {
        if !self.may_take() {
            return Ok(false);
        }
        let Some((item, notify)) = self.cursor_commands.take(&self.core.header)? else {
            return Ok(false);
        };
        self.core.counters.add(Counter::Commands);
        if notify {
            self.core.interrupts.raise(interrupts::CURSOR);
        }
        self.cursor_command(item);
        Ok(true)
    }

    fn take_command(&mut self) -> Result<bool, RingCorrupt> {
        if !self.may_take() {
            return Ok(false);
        }
        #[cfg(feature = "misbehave")]
        self.before_command()?;
        let Some((item, notify)) = self.commands.take(&self.core.header)? else {
            return Ok(false);
        };
        #[cfg(feature = "misbehave")]
        self.after_command();
        self.core.counters.add(Counter::Commands);
        if notify {
            self.core.interrupts.raise(interrupts::DISPLAY);
        }
        self.ring_command(item);
        Ok(true)
    }

    /// Asks for doorbells, looks once more, and gives back what is finished if the guest is out of earlier returns.
    fn go_idle(&mut self) -> Result<Step, RingCorrupt> {
        if !self.may_take() {
            return Ok(Step::Idle { unreturned: false });
        }
        if self.commands.arm(&self.core.header)? | self.cursor_commands.arm(&self.core.header)? {
            return Ok(Step::Busy);
        }
        #[cfg(feature = "misbehave")]
        self.when_idle();
        if self.release.is_empty(&self.core.header)? {
            self.publish()?;
        }
        Ok(Step::Idle {
            unreturned: self.release.batch().is_some(),
        })
    }

    /// Does what was pushed before now, and nothing that comes later: a guest that pushes without end gets no further.
    fn drain(&mut self) {
        if let Err(corrupt) = self.try_drain() {
            self.corrupt(&corrupt);
        }
    }

    fn try_drain(&mut self) -> Result<(), RingCorrupt> {
        if !self.may_take() {
            return Ok(());
        }
        for _ in 0..self.cursor_commands.waiting(&self.core.header)? {
            self.take_cursor_command()?;
        }
        for _ in 0..self.commands.waiting(&self.core.header)? {
            self.take_command()?;
        }
        Ok(())
    }

    fn run(&mut self, job: &Job) {
        if job.request == Request::Reset {
            self.reset(job.epoch);
        } else if self.core.is_current(job.epoch) && job.epoch == self.epoch {
            self.perform(&job.request);
        }
        self.core.complete(job);
    }

    fn perform(&mut self, request: &Request) {
        match request {
            Request::Reset => {}
            Request::SetMode(screen) => self.set_mode(screen),
            Request::EnterVga { drain } => self.enter_vga(*drain),
            Request::SetSlot { id, slot } => {
                // What was pushed before a slot goes may lie in it.
                if slot.is_none() {
                    self.drain();
                }
                self.slots.set(*id, *slot);
            }
            Request::CreatePrimary { backing, keep_data } => self.create_primary(*backing, *keep_data),
            Request::DestroyPrimary => {
                self.drain();
                self.layout = Layout::Native;
                self.remove_surface(0, true);
                self.reset_cursor();
            }
            Request::DestroySurface(id) => {
                self.drain();
                self.remove_surface(*id, true);
                self.flush_release();
            }
            Request::DestroyAll => {
                self.drain();
                self.layout = Layout::Native;
                for id in self.surfaces.ids() {
                    self.remove_surface(id, true);
                }
                self.reset_cursor();
                self.flush_release();
            }
            Request::UpdateArea { surface, area } => {
                self.drain();
                self.write_back(*surface, area);
            }
            Request::FlushSurfaces => {
                self.drain();
                self.write_back_all();
            }
            Request::OutOfMemory => self.out_of_memory(),
            Request::FlushRelease => self.flush_release(),
            Request::Monitors(config) => {
                self.monitors = Some(config.clone());
                self.report_monitors();
            }
        }
    }

    /// The worker's half of a reset (ABI 8.1). Commands in flight are forgotten, not given back.
    fn reset(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.consuming = self.core.config.idle_mode() != Mode::Vga;
        self.layout = Layout::Native;
        self.slots = SlotTable::default();
        self.surfaces.clear();
        self.cursor = CursorState::default();
        self.monitors = None;
        self.submit(DisplayCommand::Reset);
        self.vga.hidden();
        self.rom.restore();
        self.commands = CommandRing::command(0);
        self.cursor_commands = CommandRing::cursor(0);
        self.release = ReleaseRing::new(0, None);
        self.core.header.reset();
        #[cfg(feature = "misbehave")]
        self.core.interrupts.faults.spoil_header(&self.core.header);
        self.core.interrupts.update();
    }

    pub(crate) fn submit(&self, command: DisplayCommand) {
        self.sink.0.submit(command);
    }

    fn create_primary(&mut self, backing: Backing, keep_data: bool) {
        // What was pushed before is for the screen as it was; in VGA mode it waits for this one.
        self.drain();
        self.consuming = true;
        self.layout = Layout::Native;
        self.remove_surface(0, true);
        let surface = Surface::new(backing, None, keep_data);
        self.add_surface(0, surface, keep_data);
        self.report_monitors();
    }

    /// Tells a viewer that knows nothing everything: after a restore.
    pub(crate) fn announce(&self) {
        self.submit(DisplayCommand::Reset);
        for (id, surface) in self.surfaces.iter() {
            let pixels = surface.backing.load(&self.core.memory);
            self.submit(DisplayCommand::CreateSurface(surface.spec(id, pixels)));
        }
        for command in self.cursor.replay() {
            self.submit(DisplayCommand::Cursor(command));
        }
        self.report_monitors();
    }

    fn add_surface(&mut self, id: u32, surface: Surface, keep_data: bool) {
        let pixels = if keep_data {
            surface.backing.load(&self.core.memory)
        } else {
            None
        };
        self.submit(DisplayCommand::CreateSurface(surface.spec(id, pixels)));
        if id == 0 {
            self.vga.hidden();
        }
        self.surfaces.insert(id, surface);
    }

    /// Ends a surface and gives back the command that made it. `keep` writes its picture to guest memory first.
    fn remove_surface(&mut self, id: u32, keep: bool) {
        if keep && let Some(surface) = self.surfaces.get_mut(id) {
            let whole = surface.backing.area();
            self.write_back(id, &whole);
        }
        if let Some(surface) = self.surfaces.remove(id) {
            self.submit(DisplayCommand::DestroySurface(id));
            if let Some(held) = surface.created_by {
                self.give_back(held);
            }
        }
    }

    fn write_back(&mut self, id: u32, area: &Rect) {
        if let Some(surface) = self.surfaces.get_mut(id)
            && surface.write_back(id, area, &self.core.memory, &*self.sink.0)
        {
            self.core.counters.add(Counter::WriteBacks);
        }
    }

    fn write_back_all(&mut self) {
        for (id, surface) in self.surfaces.iter_mut() {
            let whole = surface.backing.area();
            if surface.write_back(id, &whole, &self.core.memory, &*self.sink.0) {
                self.core.counters.add(Counter::WriteBacks);
            }
        }
    }

    fn reset_cursor(&mut self) {
        self.cursor = CursorState::default();
        self.submit(DisplayCommand::Cursor(CursorCommand::Reset));
    }

    /// Tells the viewer of the monitors, once there is something they can show.
    fn report_monitors(&self) {
        if !self.surfaces.contains(0) {
            return;
        }
        let (heads, max) = match &self.monitors {
            Some(config) => (config.visible(&self.surfaces), config.max()),
            None => (Vec::new(), self.core.config.heads),
        };
        self.submit(DisplayCommand::Monitors { heads, max });
    }

    /// Everything in the rings is done, then everything finished goes back. Nothing else is ever held: a command's data
    /// is copied when the command is taken.
    fn out_of_memory(&mut self) {
        match self.release.is_empty(&self.core.header) {
            Ok(false) => return,
            Ok(true) => {}
            Err(corrupt) => {
                self.corrupt(&corrupt);
                return;
            }
        }
        self.drain();
        self.flush_release();
    }

    pub(crate) fn flush_release(&mut self) {
        if let Err(corrupt) = self.publish() {
            self.corrupt(&corrupt);
        }
    }

    /// Publishes the batch and interrupts, always: Linux arms its notification without looking again.
    fn publish(&mut self) -> Result<(), RingCorrupt> {
        #[cfg(feature = "misbehave")]
        self.before_release();
        if self.release.publish(&self.core.header)? {
            #[cfg(feature = "misbehave")]
            self.after_release()?;
            self.core.interrupts.raise(interrupts::DISPLAY);
        }
        Ok(())
    }

    /// A command is finished. The cookie 0 would end the guest's walk along the chain, so it cannot go back.
    fn give_back(&mut self, held: Held) {
        if held.id == 0 {
            return;
        }
        #[cfg(feature = "misbehave")]
        if self.keeps() {
            return;
        }
        self.core.counters.add(Counter::Releases);
        self.release.add(&self.core.memory, held);
        if self.release.is_full() {
            self.flush_release();
        }
    }
}
