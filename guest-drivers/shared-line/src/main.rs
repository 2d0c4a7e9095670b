//! Two QXL devices that share an interrupt line: each raises and is acknowledged many times, alone and together with the
//! other. No interrupt may be lost, and none may come for which no device has a reason.
//!
//! The kernel command line is `rounds=N` (10000). On the serial port: `shared-line: N rounds, I interrupts, L lost,
//! E echoes, U unclaimed` (see [`cpu::PciInterrupts`]); then the machine is switched off.

#![no_std]
#![no_main]

use caraway_guest_rt::pci::Function;
use caraway_guest_rt::qxl::{Qxl, QxlError, abi};
use caraway_guest_rt::{boot, cpu, irq, power, print, serial};

const ROUNDS: u32 = 10_000;
const TICKS_PER_SECOND: u32 = 50;
/// Device whose functions share a line.
const DEVICE: u8 = 2;

caraway_guest_rt::entry!(main);

fn main() -> ! {
    serial::init();
    irq::init();
    irq::start_ticks(TICKS_PER_SECOND);
    let rounds = boot::command_line()
        .split_whitespace()
        .find_map(|word| word.strip_prefix("rounds=")?.parse().ok())
        .unwrap_or(ROUNDS);
    match open() {
        Ok((first, second)) => run(&first, &second, rounds),
        Err(error) => print!("shared-line: {error}\n"),
    }
    power::off()
}

fn open() -> Result<(Qxl, Qxl), QxlError> {
    let device = |number| {
        let function = Function::new(DEVICE, number);
        let ids = u32::from(abi::VENDOR) | u32::from(abi::DEVICE) << 16;
        if function.read(0) == ids {
            Qxl::open_at(function, number.into())
        } else {
            Err(QxlError::NotFound)
        }
    };
    Ok((device(0)?, device(1)?))
}

/// A round is one of: the first device alone, the second alone, both with the first ahead, both with the second ahead.
/// The devices work on threads of their own, so in the rounds of both they raise at about the same time.
fn run(first: &Qxl, second: &Qxl, rounds: u32) {
    let before = cpu::pci_interrupts();
    let mut lost = 0;
    for round in 0..rounds {
        let devices = match round % 4 {
            0 => [Some(first), None],
            1 => [Some(second), None],
            2 => [Some(first), Some(second)],
            _ => [Some(second), Some(first)],
        };
        for device in devices.into_iter().flatten() {
            device.begin_flush();
        }
        for device in devices.into_iter().flatten() {
            if let Err(error) = device.await_flush() {
                print!("shared-line: round {round}: {error}\n");
                lost += 1;
            }
        }
    }
    let after = cpu::pci_interrupts();
    print!(
        "shared-line: {rounds} rounds, {} interrupts, {lost} lost, {} echoes, {} unclaimed\n",
        after.all - before.all,
        after.echoes - before.echoes,
        after.unclaimed - before.unclaimed
    );
}
