//! Devices every machine has.

use std::sync::Arc;

use caraway_base::{address_space::Space, irq::SharedLine, lifecycle::Lifecycle};
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

use super::{BuildError, host, platform::Platform, timer::DeviceTimer};
use crate::{memory::ECAM, serial::SerialOutput};

/// First port of PCI's config access, with the reset control register in it.
const CONFIG_PORT: u16 = 0xcf8;
const CONFIG_LENGTH: u16 = 8;
/// GSIs of the four INTx lines.
pub(super) const INTX: [u32; 4] = [16, 17, 18, 19];
/// PCI device number of the panic device: the last one before the LPC bridge's.
const PANIC_DEVICE: u8 = 0x1e;
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
    pub(super) fn new(platform: &Platform, debug_exit: bool) -> Result<Self, BuildError> {
        let intx = INTX.map(|gsi| SharedLine::new(platform.line(gsi)));
        let pci = PciBus::new(
            Arc::clone(&platform.space) as _,
            Arc::clone(&platform.messages) as _,
            intx.clone(),
        )?;
        let reset = Arc::new(ResetControl::new(pci.config_ports()));
        platform.place_ports("the PCI config ports", CONFIG_PORT, CONFIG_LENGTH, reset.clone())?;
        platform.place("ECAM", Space::Memory, ECAM.start, ECAM.end - ECAM.start, pci.ecam())?;
        pci.plug(PANIC_DEVICE, Arc::new(PvPanic))?;

        let serial = SerialOutput::new().map_err(host("a serial console"))?;
        let uart = Arc::new(
            Uart::new(UartArgs {
                line: platform.line(COM1_IRQ),
                sink: serial.sink(),
            })
            .map_err(host("a serial port"))?,
        );
        platform.place_ports("the serial port", COM1_PORT, COM1_LENGTH, uart.clone())?;

        let clock = Arc::new(HostClock::new());
        let power = Arc::new(PowerManagement::new(PmArgs {
            sci: platform.line(SCI_IRQ),
            clock: clock.clone(),
        }));
        platform.place_ports("power management", PM_PORT, PM_LENGTH, power.clone())?;
        let i8042 = keyboard_and_mouse(platform)?;
        let rtc = real_time_clock(platform, clock)?;
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
            rtc,
            power.clone(),
            reset,
            Arc::new(pci.clone()),
        ];
        Ok(Self {
            pci,
            intx,
            uart,
            serial,
            power,
            i8042,
            lifecycles,
        })
    }
}

fn keyboard_and_mouse(platform: &Platform) -> Result<Arc<I8042>, BuildError> {
    let i8042 = Arc::new(I8042::new(I8042Args {
        keyboard: platform.line(KEYBOARD_IRQ),
        mouse: platform.line(MOUSE_IRQ),
    }));
    platform.place_ports("the keyboard", I8042_DATA_PORT, I8042_BLOCK, i8042.data_port())?;
    platform.place_ports(
        "the keyboard controller",
        I8042_COMMAND_PORT,
        I8042_BLOCK,
        i8042.command_port(),
    )?;
    Ok(i8042)
}

fn real_time_clock(platform: &Platform, clock: Arc<HostClock>) -> Result<Arc<Rtc>, BuildError> {
    let timer = DeviceTimer::new().map_err(host("a timer"))?;
    let args = RtcArgs {
        line: platform.line(RTC_IRQ),
        wall: clock.clone(),
        clock,
        timer: timer.clone(),
    };
    let rtc = Arc::new(Rtc::new(
        args,
        MemorySizes {
            low: platform.layout.low_ram_end(),
            high: platform.layout.high_ram(),
        },
    ));
    platform.place_ports("the real-time clock", RTC_PORT, RTC_LENGTH, rtc.clone())?;
    let expired = Arc::clone(&rtc);
    timer
        .start(platform.devices.handle(), move || expired.expired())
        .map_err(host("a timer"))?;
    Ok(rtc)
}
