//! The whole QXL device, driven by programs made of bytes.
//!
//! A program is a configuration and a list of operations: port writes, memory, rings and their commands, BARs, VGA
//! registers, the audience, the life of the machine. [`run`] decodes one, carries it out on a device without a thread
//! and panics when something does not hold: a panic of the device, an error it logs, pixels that are not what they must
//! be, commands that come back twice or never, a state that does not restore, and at the end a device that does not
//! recover.
#![forbid(unsafe_code)]

mod checks;
mod commands;
mod execute;
mod guest;
mod log;
mod machine;
mod objects;
mod program;
mod recovery;
mod seeds;
mod sink;
mod vga;
#[path = "../../../../devices/qxl/src/testing/whole.rs"]
mod whole;
mod wire;

pub use seeds::seeds;

/// Operations of a program that are carried out.
const OPERATIONS_MAX: usize = 250;

/// Carries out the program in `data`.
///
/// # Panics
/// When something does not hold.
pub fn run(data: &[u8]) {
    log::listen();
    let mut reader = wire::Reader::new(data);
    let mut guest = guest::Guest::new(&wire::Wire::read(&mut reader));
    for _ in 0..OPERATIONS_MAX {
        if reader.is_empty() || guest.is_exhausted() {
            break;
        }
        guest.execute(wire::Wire::read(&mut reader));
    }
    guest.finish();
}
