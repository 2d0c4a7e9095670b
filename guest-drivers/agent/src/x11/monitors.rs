//! Monitors, by RandR: what there is, and what a client wants there to be.

use std::time::{Duration, Instant};

use caraway_protocol::agent::{AgentMonitor, GraphicsDevice, MonitorsConfig};
use x11rb::connection::Connection as _;
use x11rb::protocol::randr::{
    self, ConnectionExt as _, Crtc, GetCrtcInfoReply, GetOutputInfoReply, Mode, ModeInfo, NotifyMask, Output, Rotation,
    SetConfig,
};
use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

use crate::link::{Head, Link, MOST_HEADS, Screen};
use crate::log::note;
use crate::outputs::output_name;
use crate::plan::{Limits, Place, bounds, plan};
use crate::session::DesktopError;

/// Begin of the names of the modes that are ours.
const OURS: &str = "caraway-";
/// What the screen would be as paper: pixels of an inch, and an inch in tenths of a millimetre.
const DOTS: u32 = 96;
const INCH: u32 = 254;
/// How long a desktop has to follow what is plugged by itself.
const DESKTOPS_TURN: Duration = Duration::from_millis(700);

/// What the server has.
#[derive(Debug)]
pub(super) struct Monitors {
    root: Window,
    /// Outputs by the client's numbers, as far as the server has named them.
    names: Vec<Option<String>>,
    told: Screen,
    is_changed: bool,
    /// Names of the properties in which a driver says where an output should be.
    suggested: [Atom; 2],
    /// What the driver would have, by output: nothing where nothing is plugged.
    plugged: Vec<Option<AgentMonitor>>,
    /// When that is looked at, if it has changed.
    follow_at: Option<Instant>,
}

/// Outputs and what drives them.
#[derive(Debug)]
struct Parts {
    time: u32,
    outputs: Vec<(Output, GetOutputInfoReply)>,
    crtcs: Vec<(Crtc, GetCrtcInfoReply)>,
    modes: Vec<(ModeInfo, String)>,
}

impl Monitors {
    pub(super) fn new(connection: &RustConnection, root: Window) -> Result<Self, DesktopError> {
        connection.randr_query_version(1, 5)?.reply()?;
        let changes = NotifyMask::SCREEN_CHANGE | NotifyMask::CRTC_CHANGE | NotifyMask::OUTPUT_CHANGE;
        connection.randr_select_input(root, changes)?;
        let [x, y] = ["suggested X", "suggested Y"].map(|name| connection.intern_atom(false, name.as_bytes()));
        let mut monitors = Self {
            root,
            names: Vec::new(),
            told: Screen::default(),
            is_changed: false,
            suggested: [x?.reply()?.atom, y?.reply()?.atom],
            plugged: Vec::new(),
            follow_at: None,
        };
        monitors.told = monitors.screen(connection)?;
        monitors.plugged = monitors.plugged(connection)?;
        Ok(monitors)
    }

    pub(super) const fn changed(&mut self) {
        self.is_changed = true;
    }

    /// Whether there is something to look at.
    pub(super) const fn has_changed(&self) -> bool {
        self.is_changed
    }

    pub(super) fn greet(&self, out: &mut Vec<Link>) {
        out.push(Link::Screen(self.told.clone()));
    }

    /// Says what the screen is if that has changed.
    pub(super) fn update(&mut self, connection: &RustConnection, out: &mut Vec<Link>) -> Result<(), DesktopError> {
        if std::mem::take(&mut self.is_changed) {
            let screen = self.screen(connection)?;
            if screen != self.told {
                self.told = screen;
                self.greet(out);
            }
            let plugged = self.plugged(connection)?;
            if plugged != self.plugged {
                self.plugged = plugged;
                self.follow_at = Some(Instant::now() + DESKTOPS_TURN);
            }
        }
        if self.follow_at.is_some_and(|at| at <= Instant::now()) {
            self.follow_at = None;
            if let Err(error) = self.follow(connection) {
                note(&format!("the monitors that are plugged: {error}"));
            }
        }
        Ok(())
    }

    /// When there is something to do.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.follow_at
    }

    /// What the driver would have: the client's window, where the server tells the device of it and not the agent.
    fn plugged(&self, connection: &RustConnection) -> Result<Vec<Option<AgentMonitor>>, DesktopError> {
        let parts = self.parts(connection)?;
        let mut plugged = Vec::new();
        for (output, info) in &parts.outputs {
            let preferred = info.modes.get(..usize::from(info.num_preferred)).and_then(<[_]>::first);
            let mode = preferred.and_then(|id| parts.modes.iter().find(|(mode, _)| mode.id == *id));
            let Some((mode, _)) = mode.filter(|_| info.connection == randr::Connection::CONNECTED) else {
                plugged.push(None);
                continue;
            };
            let mut place = [0; 2];
            for (at, name) in place.iter_mut().zip(self.suggested) {
                let property =
                    connection.randr_get_output_property(*output, name, AtomEnum::ANY, 0, 1, false, false)?;
                let bytes = property.reply()?.data;
                *at = bytes.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
            }
            plugged.push(Some(AgentMonitor {
                width: mode.width.into(),
                height: mode.height.into(),
                depth: 32,
                x: place[0],
                y: place[1],
            }));
        }
        Ok(plugged)
    }

    /// Has what is plugged, unless the desktop has seen to it.
    fn follow(&mut self, connection: &RustConnection) -> Result<(), DesktopError> {
        let parts = self.parts(connection)?;
        let is_so = parts.outputs.iter().zip(&self.plugged).all(|((_, info), plugged)| {
            let crtc = parts
                .crtcs
                .iter()
                .find(|(crtc, _)| *crtc == info.crtc)
                .map(|(_, crtc)| crtc);
            let crtc = crtc.filter(|crtc| crtc.mode != x11rb::NONE);
            crtc.map(|crtc| (crtc.width.into(), crtc.height.into()))
                == plugged.map(|plugged| (plugged.width, plugged.height))
        });
        if is_so || self.plugged.iter().all(Option::is_none) {
            return Ok(());
        }
        let off = AgentMonitor {
            width: 0,
            height: 0,
            depth: 32,
            x: 0,
            y: 0,
        };
        let monitors: Vec<AgentMonitor> = self.plugged.iter().map(|plugged| plugged.unwrap_or(off)).collect();
        let mut places: Vec<(i32, i32)> = self
            .plugged
            .iter()
            .flatten()
            .map(|monitor| (monitor.x, monitor.y))
            .collect();
        let count = places.len();
        places.sort_unstable();
        places.dedup();
        // A driver that suggests nothing says the same of all.
        let has_places = places.len() == count;
        self.apply_by(connection, &MonitorsConfig { has_places, monitors }, |_, parts| {
            (0..parts.outputs.len()).map(Some).collect()
        })
    }

    /// The server says which display is which output.
    pub(super) fn name(&mut self, devices: &[GraphicsDevice]) {
        self.names = devices
            .iter()
            .map(|device| output_name("/sys".as_ref(), device))
            .collect();
        self.is_changed = true;
    }

    /// Has the monitors that are wanted.
    pub(super) fn apply(&mut self, connection: &RustConnection, config: &MonitorsConfig) -> Result<(), DesktopError> {
        self.apply_by(connection, config, Self::displays)
    }

    fn apply_by(
        &mut self,
        connection: &RustConnection,
        config: &MonitorsConfig,
        displays: impl Fn(&Self, &Parts) -> Vec<Option<usize>>,
    ) -> Result<(), DesktopError> {
        connection.grab_server()?;
        let result = self.set(connection, config, displays);
        connection.ungrab_server()?;
        connection.flush()?;
        self.is_changed = true;
        result
    }

    fn screen(&self, connection: &RustConnection) -> Result<Screen, DesktopError> {
        let parts = self.parts(connection)?;
        let mut heads = Vec::new();
        for (display, output) in self.displays(&parts).into_iter().enumerate() {
            let Some((_, info)) = output.and_then(|at| parts.outputs.get(at)) else {
                continue;
            };
            let crtc = parts.crtcs.iter().find(|(crtc, _)| *crtc == info.crtc);
            let Some((_, crtc)) = crtc.filter(|(_, crtc)| crtc.mode != x11rb::NONE) else {
                continue;
            };
            let at = |at: i16| u32::try_from(at).unwrap_or(0);
            heads.push(Head {
                display: u32::try_from(display)?,
                x: at(crtc.x),
                y: at(crtc.y),
                width: crtc.width.into(),
                height: crtc.height.into(),
            });
        }
        heads.truncate(MOST_HEADS);
        let root = connection.get_geometry(self.root)?.reply()?;
        let (width, height) = (root.width.into(), root.height.into());
        Ok(Screen { width, height, heads })
    }

    fn parts(&self, connection: &RustConnection) -> Result<Parts, DesktopError> {
        let resources = connection.randr_get_screen_resources_current(self.root)?.reply()?;
        let time = resources.config_timestamp;
        let mut outputs = Vec::new();
        for output in resources.outputs {
            outputs.push((output, connection.randr_get_output_info(output, time)?.reply()?));
        }
        let mut crtcs = Vec::new();
        for crtc in resources.crtcs {
            crtcs.push((crtc, connection.randr_get_crtc_info(crtc, time)?.reply()?));
        }
        let mut names = resources.names.as_slice();
        let mut modes = Vec::new();
        for mode in resources.modes {
            let (name, rest) = names.split_at(names.len().min(mode.name_len.into()));
            names = rest;
            modes.push((mode, String::from_utf8_lossy(name).into_owned()));
        }
        Ok(Parts {
            time,
            outputs,
            crtcs,
            modes,
        })
    }

    /// The outputs by the client's numbers: as the server named them, else in the order of the X server.
    fn displays(&self, parts: &Parts) -> Vec<Option<usize>> {
        let named: Vec<Option<usize>> = self
            .names
            .iter()
            .map(|name| {
                parts
                    .outputs
                    .iter()
                    .position(|(_, info)| Some(info.name.as_slice()) == name.as_deref().map(str::as_bytes))
            })
            .collect();
        if named.iter().any(Option::is_some) {
            return named;
        }
        (0..parts.outputs.len()).map(Some).collect()
    }

    fn set(
        &self,
        connection: &RustConnection,
        config: &MonitorsConfig,
        displays: impl Fn(&Self, &Parts) -> Vec<Option<usize>>,
    ) -> Result<(), DesktopError> {
        let parts = self.parts(connection)?;
        let displays = displays(self, &parts);
        let range = connection.randr_get_screen_size_range(self.root)?.reply()?;
        let limits = Limits {
            least: (range.min_width.into(), range.min_height.into()),
            most: (range.max_width.into(), range.max_height.into()),
        };
        let places = plan(config, displays.len(), limits).ok_or("no monitor that could be shown")?;
        let mut wanted = Vec::new();
        let mut taken = Vec::new();
        for place in places {
            let output = displays
                .get(place.display)
                .copied()
                .flatten()
                .and_then(|at| parts.outputs.get(at));
            let (output, info) = output.ok_or("a monitor that is not there")?;
            let crtc = free(info, &taken).ok_or("more monitors than can be driven")?;
            taken.push(crtc);
            let mode = self.mode(connection, &parts, *output, info, &place)?;
            wanted.push((crtc, *output, mode, place));
        }
        let places: Vec<Place> = wanted.iter().map(|(.., place)| *place).collect();
        let (width, height) = bounds(&places, limits);
        // What does not stay is switched off before the screen changes its size around it.
        for (crtc, info) in &parts.crtcs {
            let stays = wanted.iter().any(|(other, output, mode, place)| {
                other == crtc && info.mode == *mode && info.outputs == [*output] && is_at(info, place)
            });
            if !stays && info.mode != x11rb::NONE {
                drive(connection, *crtc, parts.time, (0, 0), x11rb::NONE, &[])?;
            }
        }
        let side = |pixels: u32| u16::try_from(pixels);
        let paper = |pixels: u32| (pixels * INCH / DOTS / 10).max(1);
        connection
            .randr_set_screen_size(self.root, side(width)?, side(height)?, paper(width), paper(height))?
            .check()?;
        for (crtc, output, mode, place) in wanted {
            let at = (i16::try_from(place.x)?, i16::try_from(place.y)?);
            drive(connection, crtc, parts.time, at, mode, &[output])?;
        }
        self.clean(connection)
    }

    /// A mode of an output that is as large; made if there is none.
    fn mode(
        &self,
        connection: &RustConnection,
        parts: &Parts,
        output: Output,
        info: &GetOutputInfoReply,
        place: &Place,
    ) -> Result<Mode, DesktopError> {
        let (width, height) = (u16::try_from(place.width)?, u16::try_from(place.height)?);
        let fits = |mode: &&(ModeInfo, String)| (mode.0.width, mode.0.height) == (width, height);
        if let Some((mode, _)) = parts
            .modes
            .iter()
            .filter(fits)
            .find(|(mode, _)| info.modes.contains(&mode.id))
        {
            return Ok(mode.id);
        }
        let name = format!("{OURS}{width}x{height}");
        let mode = match parts.modes.iter().find(|(_, other)| *other == name) {
            Some((mode, _)) => mode.id,
            None => {
                let mode = timing(width, height, u16::try_from(name.len())?);
                connection
                    .randr_create_mode(self.root, mode, name.as_bytes())?
                    .reply()?
                    .mode
            }
        };
        connection.randr_add_output_mode(output, mode)?.check()?;
        Ok(mode)
    }

    /// Takes modes of ours away that are not in use any more.
    fn clean(&self, connection: &RustConnection) -> Result<(), DesktopError> {
        let parts = self.parts(connection)?;
        for (mode, name) in &parts.modes {
            if name.starts_with(OURS) && parts.crtcs.iter().all(|(_, crtc)| crtc.mode != mode.id) {
                for (output, info) in &parts.outputs {
                    if info.modes.contains(&mode.id) {
                        connection.randr_delete_output_mode(*output, mode.id)?;
                    }
                }
                connection.randr_destroy_mode(mode.id)?;
            }
        }
        Ok(())
    }
}

/// What can drive an output: what does, or what is free.
fn free(info: &GetOutputInfoReply, taken: &[Crtc]) -> Option<Crtc> {
    let usual = Some(info.crtc).filter(|crtc| *crtc != x11rb::NONE && !taken.contains(crtc));
    usual.or_else(|| info.crtcs.iter().copied().find(|crtc| !taken.contains(crtc)))
}

fn is_at(crtc: &GetCrtcInfoReply, place: &Place) -> bool {
    i64::from(crtc.x) == i64::from(place.x) && i64::from(crtc.y) == i64::from(place.y)
}

fn drive(
    connection: &RustConnection,
    crtc: Crtc,
    time: u32,
    (x, y): (i16, i16),
    mode: Mode,
    outputs: &[Output],
) -> Result<(), DesktopError> {
    let now = x11rb::CURRENT_TIME;
    let reply = connection
        .randr_set_crtc_config(crtc, now, time, x, y, mode, Rotation::ROTATE0, outputs)?
        .reply()?;
    if reply.status != SetConfig::SUCCESS {
        return Err(format!("the X server refuses a monitor: {:?}", reply.status).into());
    }
    Ok(())
}

/// Times a monitor of 60 Hz could be driven with; nobody looks at more than the size.
fn timing(width: u16, height: u16, name_len: u16) -> ModeInfo {
    let (across, down) = (width.saturating_add(160), height.saturating_add(30));
    ModeInfo {
        id: 0,
        width,
        height,
        dot_clock: u32::from(across) * u32::from(down) * 60,
        hsync_start: width.saturating_add(48),
        hsync_end: width.saturating_add(80),
        htotal: across,
        hskew: 0,
        vsync_start: height.saturating_add(3),
        vsync_end: height.saturating_add(7),
        vtotal: down,
        name_len,
        mode_flags: randr::ModeFlag::HSYNC_POSITIVE | randr::ModeFlag::VSYNC_NEGATIVE,
    }
}
