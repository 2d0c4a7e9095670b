//! Outputs: what there is, and what a client wants there to be.

use caraway_protocol::agent::{AgentKind, AgentMessage, GraphicsDevice, MonitorsConfig};
use wayland_client::backend::ObjectId;
use wayland_client::protocol::wl_output::{self, WlOutput};
use wayland_client::protocol::wl_registry::WlRegistry;
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum, event_created_child};
use wayland_protocols_wlr::output_management::v1::client::{
    zwlr_output_configuration_head_v1::{self, ZwlrOutputConfigurationHeadV1},
    zwlr_output_configuration_v1::{self, ZwlrOutputConfigurationV1},
    zwlr_output_head_v1::{self, ZwlrOutputHeadV1},
    zwlr_output_manager_v1::{self, ZwlrOutputManagerV1},
    zwlr_output_mode_v1::{self, ZwlrOutputModeV1},
};

use super::{Global, State};
use crate::link::{Head, Link, MOST_HEADS, Screen};
use crate::log::note;
use crate::outputs::output_name;
use crate::plan::{Limits, plan};

/// What no compositor is asked for more than.
const LIMITS: Limits = Limits {
    least: (1, 1),
    most: (16384, 16384),
};

/// An output.
#[derive(Debug)]
struct Output {
    /// Of the manager, or of the compositor where there is none.
    id: ObjectId,
    head: Option<ZwlrOutputHeadV1>,
    name: String,
    is_enabled: bool,
    modes: Vec<(ZwlrOutputModeV1, i32, i32)>,
    current: Option<ObjectId>,
    /// Of the current mode, where there is no manager.
    size: (i32, i32),
    at: (i32, i32),
    scale: f64,
}

impl Output {
    fn new(id: ObjectId, head: Option<ZwlrOutputHeadV1>) -> Self {
        Self {
            id,
            is_enabled: head.is_none(),
            head,
            name: String::new(),
            modes: Vec::new(),
            current: None,
            size: (0, 0),
            at: (0, 0),
            scale: 1.0,
        }
    }

    /// Pixels across and down, if it shows something.
    fn pixels(&self) -> Option<(i32, i32)> {
        let current = self.modes.iter().find(|(mode, ..)| Some(mode.id()) == self.current);
        let size = current.map_or(self.size, |(_, width, height)| (*width, *height));
        (self.is_enabled && size.0 > 0 && size.1 > 0).then_some(size)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    manager: Option<ZwlrOutputManagerV1>,
    serial: u32,
    outputs: Vec<Output>,
    /// By the client's numbers, as far as the server has named them.
    names: Vec<Option<String>>,
    told: Screen,
    /// What a client wants, and waits for the answer to.
    wanted: Option<Wanted>,
}

/// A request to the compositor.
#[derive(Debug)]
struct Wanted {
    config: MonitorsConfig,
    /// Of the state that it was made for.
    serial: u32,
    /// It was for a state that is not any more.
    is_cancelled: bool,
    /// How often it may be made again.
    tries: u32,
}

/// Somebody else may change the outputs, too.
const TRIES: u32 = 8;

impl Outputs {
    pub(super) fn bind(&mut self, registry: &WlRegistry, globals: &[Global], handle: &QueueHandle<State>) {
        let manager = globals
            .iter()
            .find(|(_, interface, _)| interface == ZwlrOutputManagerV1::interface().name);
        if let Some((name, _, version)) = manager {
            self.manager = Some(registry.bind(*name, (*version).min(2), handle, ()));
            return;
        }
        for (name, interface, version) in globals {
            if interface == WlOutput::interface().name {
                let output: WlOutput = registry.bind(*name, (*version).min(4), handle, ());
                self.outputs.push(Output::new(output.id(), None));
            }
        }
    }

    pub(super) const fn can_change(&self) -> bool {
        self.manager.is_some()
    }

    pub(super) fn greet(&mut self, out: &mut Vec<Link>) {
        self.told = self.screen();
        out.push(Link::Screen(self.told.clone()));
    }

    /// Says what the screen is if that has changed, and asks again if it was asked for another state.
    pub(super) fn update(&mut self, handle: &QueueHandle<State>, out: &mut Vec<Link>) {
        if self
            .wanted
            .as_ref()
            .is_some_and(|wanted| wanted.is_cancelled && wanted.serial != self.serial)
            && let Some(Wanted { config, tries, .. }) = self.wanted.take()
        {
            self.ask(config, tries.saturating_sub(1), handle, out);
        }
        if self.screen() != self.told {
            self.greet(out);
        }
    }

    /// The server says which display is which output.
    pub(super) fn name(&mut self, devices: &[GraphicsDevice]) {
        self.names = devices
            .iter()
            .map(|device| output_name("/sys".as_ref(), device))
            .collect();
    }

    /// The outputs by the client's numbers: as the server named them, else as the compositor has them.
    fn displays(&self) -> Vec<Option<usize>> {
        let place = |name: &Option<String>| {
            self.outputs
                .iter()
                .position(|output| Some(&output.name) == name.as_ref())
        };
        let named: Vec<Option<usize>> = self.names.iter().map(place).collect();
        if named.iter().any(Option::is_some) {
            return named;
        }
        (0..self.outputs.len()).map(Some).collect()
    }

    /// What is shown, in pixels of the finest output.
    fn screen(&self) -> Screen {
        let shown: Vec<&Output> = self.outputs.iter().filter(|output| output.pixels().is_some()).collect();
        let scale = shown.iter().map(|output| output.scale).fold(1.0, f64::max);
        let fine = |at: f64| (at * scale).round().max(0.0) as u32;
        let left = shown.iter().map(|output| output.at.0).min().unwrap_or(0);
        let top = shown.iter().map(|output| output.at.1).min().unwrap_or(0);
        let mut screen = Screen::default();
        for (display, output) in self.displays().into_iter().enumerate().take(MOST_HEADS) {
            let Some(output) = output.and_then(|at| self.outputs.get(at)) else {
                continue;
            };
            let Some((width, height)) = output.pixels() else {
                continue;
            };
            screen.heads.push(Head {
                display: u32::try_from(display).unwrap_or(u32::MAX),
                x: fine(f64::from(output.at.0.saturating_sub(left))),
                y: fine(f64::from(output.at.1.saturating_sub(top))),
                width: u32::try_from(width).unwrap_or(0),
                height: u32::try_from(height).unwrap_or(0),
            });
        }
        for output in shown {
            let (width, height) = output.pixels().unwrap_or_default();
            let right = f64::from(output.at.0.saturating_sub(left)) + f64::from(width) / output.scale;
            let bottom = f64::from(output.at.1.saturating_sub(top)) + f64::from(height) / output.scale;
            screen.width = screen.width.max(fine(right));
            screen.height = screen.height.max(fine(bottom));
        }
        screen
    }

    /// Asks the compositor for the outputs that are wanted.
    pub(super) fn apply(&mut self, config: MonitorsConfig, handle: &QueueHandle<State>, out: &mut Vec<Link>) {
        if self.wanted.take().is_some() {
            // The answer to the one before is that another one came.
            out.push(reply(false));
        }
        self.ask(config, TRIES, handle, out);
    }

    fn ask(&mut self, config: MonitorsConfig, tries: u32, handle: &QueueHandle<State>, out: &mut Vec<Link>) {
        let displays = self.displays();
        let places = plan(&config, displays.len(), LIMITS);
        let (Some(manager), Some(places)) = (&self.manager, places) else {
            note("the client wants no monitor that could be shown");
            return out.push(reply(false));
        };
        let wanted = manager.create_configuration(self.serial, handle, self.serial);
        for (at, output) in self.outputs.iter().enumerate() {
            let Some(head) = &output.head else {
                continue;
            };
            let place = places
                .iter()
                .find(|place| displays.get(place.display) == Some(&Some(at)));
            let Some(place) = place else {
                wanted.disable_head(head);
                continue;
            };
            let [x, y, width, height] = [place.x, place.y, place.width, place.height].map(|pixels| pixels as i32);
            let enabled = wanted.enable_head(head, handle, ());
            match output
                .modes
                .iter()
                .find(|(_, across, down)| (*across, *down) == (width, height))
            {
                Some((mode, ..)) => enabled.set_mode(mode),
                None => enabled.set_custom_mode(width, height, 0),
            }
            // Places are in the compositor's units.
            let logical = |pixels: i32| (f64::from(pixels) / output.scale).round() as i32;
            enabled.set_position(logical(x), logical(y));
        }
        wanted.apply();
        self.wanted = Some(Wanted {
            config,
            serial: self.serial,
            is_cancelled: false,
            tries,
        });
    }

    /// The compositor answers a request that was made for this state.
    fn answer(&mut self, event: &zwlr_output_configuration_v1::Event, serial: u32, out: &mut Vec<Link>) {
        let Some(wanted) = self.wanted.as_mut().filter(|wanted| wanted.serial == serial) else {
            return;
        };
        if matches!(event, zwlr_output_configuration_v1::Event::Cancelled) && wanted.tries > 0 {
            wanted.is_cancelled = true;
            return;
        }
        self.wanted = None;
        out.push(reply(matches!(event, zwlr_output_configuration_v1::Event::Succeeded)));
    }

    fn of(&mut self, id: &ObjectId) -> Option<&mut Output> {
        self.outputs.iter_mut().find(|output| output.id == *id)
    }
}

const fn reply(ok: bool) -> Link {
    let to = AgentKind::MonitorsConfig;
    Link::Agent(AgentMessage::Reply { to, ok })
}

impl Dispatch<ZwlrOutputManagerV1, ()> for State {
    fn event(
        state: &mut Self,
        _: &ZwlrOutputManagerV1,
        event: zwlr_output_manager_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            zwlr_output_manager_v1::Event::Head { head } => {
                state.outputs.outputs.push(Output::new(head.id(), Some(head)));
            }
            zwlr_output_manager_v1::Event::Done { serial } => state.outputs.serial = serial,
            _ => state.outputs.manager = None,
        }
    }

    event_created_child!(State, ZwlrOutputManagerV1, [
        zwlr_output_manager_v1::EVT_HEAD_OPCODE => (ZwlrOutputHeadV1, ()),
    ]);
}

impl Dispatch<ZwlrOutputHeadV1, ()> for State {
    fn event(
        state: &mut Self,
        head: &ZwlrOutputHeadV1,
        event: zwlr_output_head_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let id = head.id();
        let Some(output) = state.outputs.of(&id) else {
            return;
        };
        match event {
            zwlr_output_head_v1::Event::Name { name } => output.name = name,
            zwlr_output_head_v1::Event::Mode { mode } => output.modes.push((mode, 0, 0)),
            zwlr_output_head_v1::Event::Enabled { enabled } => output.is_enabled = enabled != 0,
            zwlr_output_head_v1::Event::CurrentMode { mode } => output.current = Some(mode.id()),
            zwlr_output_head_v1::Event::Position { x, y } => output.at = (x, y),
            zwlr_output_head_v1::Event::Scale { scale } if scale > 0.0 => output.scale = scale,
            zwlr_output_head_v1::Event::Finished => state.outputs.outputs.retain(|output| output.id != id),
            _ => {}
        }
    }

    event_created_child!(State, ZwlrOutputHeadV1, [
        zwlr_output_head_v1::EVT_MODE_OPCODE => (ZwlrOutputModeV1, ()),
    ]);
}

impl Dispatch<ZwlrOutputModeV1, ()> for State {
    fn event(
        state: &mut Self,
        mode: &ZwlrOutputModeV1,
        event: zwlr_output_mode_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        for output in &mut state.outputs.outputs {
            match event {
                zwlr_output_mode_v1::Event::Size { width, height } => {
                    for known in output.modes.iter_mut().filter(|(known, ..)| known == mode) {
                        (known.1, known.2) = (width, height);
                    }
                }
                zwlr_output_mode_v1::Event::Finished => output.modes.retain(|(known, ..)| known != mode),
                _ => {}
            }
        }
    }
}

impl Dispatch<ZwlrOutputConfigurationV1, u32> for State {
    fn event(
        state: &mut Self,
        configuration: &ZwlrOutputConfigurationV1,
        event: zwlr_output_configuration_v1::Event,
        serial: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        state.outputs.answer(&event, *serial, &mut state.out);
        configuration.destroy();
    }
}

impl Dispatch<ZwlrOutputConfigurationHeadV1, ()> for State {
    fn event(
        _: &mut Self,
        _: &ZwlrOutputConfigurationHeadV1,
        _: zwlr_output_configuration_head_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

impl Dispatch<WlOutput, ()> for State {
    fn event(
        state: &mut Self,
        output: &WlOutput,
        event: wl_output::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let Some(known) = state.outputs.of(&output.id()) else {
            return;
        };
        match event {
            wl_output::Event::Geometry { x, y, .. } => known.at = (x, y),
            wl_output::Event::Mode {
                flags: WEnum::Value(flags),
                width,
                height,
                ..
            } if flags.contains(wl_output::Mode::Current) => {
                known.size = (width, height);
            }
            wl_output::Event::Scale { factor } if factor > 0 => known.scale = f64::from(factor),
            wl_output::Event::Name { name } => known.name = name,
            _ => {}
        }
    }
}
