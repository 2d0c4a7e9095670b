//! Devices every machine has.

use std::sync::Arc;

use caraway_base::{
    address_space::Space,
    irq::SharedLine,
    lifecycle::Lifecycle,
    state::{Migratable, Records, StateError},
};
use caraway_legacy::{
    clock::HostClock,
    debug_exit::{DEBUG_EXIT_LENGTH, DEBUG_EXIT_PORT, DebugExit},
    i8042::{I8042, I8042_COMMAND_PORT, I8042_DATA_PORT, I8042Args, KEYBOARD_IRQ, MOUSE_IRQ},
    pm::{PM_LENGTH, PM_PORT, PmArgs, PowerManagement, SCI_IRQ},
    pvpanic::PvPanic,
    reset::ResetControl,
    rtc::{MemorySizes, RTC_IRQ, RTC_LENGTH, RTC_PORT, Rtc, RtcArgs},
    uart::{COM1_IRQ, COM1_LENGTH, COM1_PORT, Uart, UartArgs},
};
use caraway_pci::PciBus;

use super::{BuildError, host, platform::Platform, saver, timer::DeviceTimer};
use crate::{driver::Saver, memory::ECAM, serial::SerialOutput};

/// First port of PCI's config access, with the reset control register in it.
const CONFIG_PORT: u16 = 0xcf8;
const CONFIG_LENGTH: u16 = 8;
/// GSIs of the four INTx lines.
pub(super) const INTX: [u32; 4] = [16, 17, 18, 19];
/// PCI device number of the panic device: the last one before the LPC bridge's.
const PANIC_DEVICE: u8 = 0x1e;
/// Instance of devices of which there is one.
const ONLY: &str = "0";
/// The in-kernel PIT answers port 0x61 between these two, so each is a block of its own.
const I8042_BLOCK: u16 = 1;

pub(super) struct Board {
    pub(super) pci: PciBus,
    pub(super) intx: [Arc<SharedLine>; 4],
    pub(super) uart: Arc<Uart>,
    pub(super) serial: SerialOutput,
    pub(super) power: Arc<PowerManagement>,
    pub(super) i8042: Arc<I8042>,
    /// Paused last and reset last, after everything plugged in.
    pub(super) lifecycles: Vec<Arc<dyn Lifecycle>>,
}

impl Board {
    /// The board and what saves it. Devices are made from their records in `incoming`, if there are any.
    pub(super) fn new(
        platform: &Platform,
        debug_exit: bool,
        incoming: &mut Option<Records>,
    ) -> Result<(Self, Vec<Saver>), BuildError> {
        let intx = INTX.map(|gsi| SharedLine::new(platform.line(gsi)));
        let pci = PciBus::new(
            Arc::clone(&platform.space) as _,
            Arc::clone(&platform.messages) as _,
            intx.clone(),
        )?;
        let reset = match restore(incoming, || pci.config_ports())? {
            Some(reset) => Arc::new(reset),
            None => Arc::new(ResetControl::new(pci.config_ports())),
        };
        platform.place_ports("the PCI config ports", CONFIG_PORT, CONFIG_LENGTH, reset.clone())?;
        platform.place("ECAM", Space::Memory, ECAM.start, ECAM.end - ECAM.start, pci.ecam())?;
        pci.plug(PANIC_DEVICE, Arc::new(PvPanic))?;

        let serial = SerialOutput::new().map_err(host("a serial console"))?;
        let args = || UartArgs {
            line: platform.line(COM1_IRQ),
            sink: serial.sink(),
        };
        let uart = match restore(incoming, args)? {
            Some(uart) => Arc::new(uart),
            None => Arc::new(Uart::new(args()).map_err(host("a serial port"))?),
        };
        platform.place_ports("the serial port", COM1_PORT, COM1_LENGTH, uart.clone())?;

        let clock = Arc::new(HostClock::new());
        let args = || PmArgs {
            sci: platform.line(SCI_IRQ),
            clock: clock.clone(),
        };
        let power = Arc::new(restore(incoming, args)?.unwrap_or_else(|| PowerManagement::new(args())));
        platform.place_ports("power management", PM_PORT, PM_LENGTH, power.clone())?;
        let i8042 = keyboard_and_mouse(platform, incoming)?;
        let rtc = real_time_clock(platform, &clock, incoming)?;
        if debug_exit {
            platform.place_ports(
                "the debug-exit port",
                DEBUG_EXIT_PORT,
                DEBUG_EXIT_LENGTH,
                Arc::new(DebugExit),
            )?;
        }
        let lifecycles: Vec<Arc<dyn Lifecycle>> = vec![
            i8042.clone(),
            uart.clone(),
            rtc.clone(),
            power.clone(),
            reset.clone(),
            Arc::new(pci.clone()),
        ];
        let savers = vec![
            saver(ONLY, i8042.clone()),
            saver(ONLY, uart.clone()),
            saver(ONLY, rtc),
            saver(ONLY, power.clone()),
            saver(ONLY, reset),
        ];
        let board = Self {
            pci,
            intx,
            uart,
            serial,
            power,
            i8042,
            lifecycles,
        };
        Ok((board, savers))
    }
}

/// The device from its record, when there are records.
fn restore<D: Migratable>(
    incoming: &mut Option<Records>,
    args: impl FnOnce() -> D::Args,
) -> Result<Option<D>, StateError> {
    incoming.as_mut().map(|records| records.take(ONLY, args())).transpose()
}

fn keyboard_and_mouse(platform: &Platform, incoming: &mut Option<Records>) -> Result<Arc<I8042>, BuildError> {
    let args = || I8042Args {
        keyboard: platform.line(KEYBOARD_IRQ),
        mouse: platform.line(MOUSE_IRQ),
    };
    let i8042 = Arc::new(restore(incoming, args)?.unwrap_or_else(|| I8042::new(args())));
    platform.place_ports("the keyboard", I8042_DATA_PORT, I8042_BLOCK, i8042.data_port())?;
    platform.place_ports(
        "the keyboard controller",
        I8042_COMMAND_PORT,
        I8042_BLOCK,
        i8042.command_port(),
    )?;
    Ok(i8042)
}

fn real_time_clock(
    platform: &Platform,
    clock: &Arc<HostClock>,
    incoming: &mut Option<Records>,
) -> Result<Arc<Rtc>, BuildError> {
    let timer = DeviceTimer::new().map_err(host("a timer"))?;
    let args = || RtcArgs {
        line: platform.line(RTC_IRQ),
        wall: clock.clone(),
        clock: clock.clone(),
        timer: timer.clone(),
    };
    let sizes = MemorySizes {
        low: platform.layout.low_ram_end(),
        high: platform.layout.high_ram(),
    };
    let rtc = Arc::new(restore(incoming, args)?.unwrap_or_else(|| Rtc::new(args(), sizes)));
    platform.place_ports("the real-time clock", RTC_PORT, RTC_LENGTH, rtc.clone())?;
    let expired = Arc::clone(&rtc);
    timer
        .start(platform.devices.handle(), move || expired.expired())
        .map_err(host("a timer"))?;
    Ok(rtc)
}
