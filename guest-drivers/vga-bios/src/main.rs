//! A guest that has a VGA BIOS set modes, and draws a test picture in each.
//!
//! It does the part of a PC's firmware itself: the BIOS comes out of the QXL device's expansion ROM and runs in real
//! mode. Then, on the serial port, `vga-bios: ready`, and an answer to each command that ends with a line `done ...`
//! or `failed ...`. Numbers are hexadecimal.
//!
//! - `mode XX`: interrupt 10h, AH=0
//! - `vbe XXXX`, `banked XXXX`: a VBE mode, with linear frame buffer or without
//! - `draw`: the picture of the mode that is set. For text also `draw shown` and `draw hidden`: what cells that blink
//!   look like
//! - `int10 AX BX CX DX`: any other call, es:di and es:dx (with DX=0) in a buffer at 9000
//! - `dump ADDRESS COUNT`: bytes of the first megabyte
//! - `registers`: those of the VGA core
//! - `quit`

#![no_std]
#![no_main]

mod firmware;
mod indexed;
mod linear;
mod planar;
mod registers;
mod text;
mod video;

use core::str::SplitWhitespace;

use caraway_guest_rt::mmio::Width;
use caraway_guest_rt::serial::LineReader;
use caraway_guest_rt::{cpu, irq, power, print, real_mode, serial};
use text::Bit7;
use video::{Call, Screen};

caraway_guest_rt::entry!(main);

fn main() -> ! {
    serial::init();
    irq::init();
    let mut guest = Guest { screen: None };
    match firmware::start() {
        Ok(()) => print!("\nvga-bios: ready\n"),
        Err(reason) => print!("\nvga-bios: {reason}\n"),
    }
    let mut line = LineReader::new();
    loop {
        cpu::wait(cpu::EVENT_SERIAL);
        serial::receive(|byte| line.push(byte, |line| guest.command(line)));
    }
}

struct Guest {
    /// What the mode that is set is drawn in.
    screen: Option<Screen>,
}

impl Guest {
    fn command(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let outcome = match words.next() {
            Some("mode") => self.mode(words),
            Some("vbe") => self.vbe(words, true),
            Some("banked") => self.vbe(words, false),
            Some("draw") => self.draw(words.next().unwrap_or_default()),
            Some("int10") => int10(words),
            Some("dump") => dump(words),
            Some("registers") => {
                registers::print();
                print!("done\n");
                Ok(())
            }
            Some("quit") => power::off(),
            _ => Err("unknown command"),
        };
        if let Err(reason) = outcome {
            print!("failed: {reason}\n");
        }
    }

    fn mode(&mut self, mut words: SplitWhitespace<'_>) -> Result<(), &'static str> {
        let mode = number(&mut words)? as u8;
        let ax = Call::new(mode.into()).make().ax;
        self.screen = video::standard(mode);
        print!("done ax={ax:04x}\n");
        Ok(())
    }

    fn vbe(&mut self, mut words: SplitWhitespace<'_>, linear: bool) -> Result<(), &'static str> {
        let mode = number(&mut words)? as u16;
        let (ax, screen) = video::set_vbe(mode, linear);
        self.screen = screen;
        print!("done ax={ax:04x} {screen:?}\n");
        Ok(())
    }

    fn draw(&self, how: &str) -> Result<(), &'static str> {
        let bit7 = Bit7::parse(how).ok_or("draw how?")?;
        match self.screen.as_ref().ok_or("no mode to draw in")? {
            Screen::Text { columns } => text::draw(*columns, bit7),
            Screen::Planar { width, height } => planar::draw(*width, *height),
            Screen::Cga { bits } => indexed::draw_cga(*bits),
            Screen::Indexed => indexed::draw(),
            Screen::Vbe(mode) if linear::draw(mode) => {}
            Screen::Vbe(_) => return Err("no mode to draw in"),
        }
        print!("done\n");
        Ok(())
    }
}

fn int10(mut words: SplitWhitespace<'_>) -> Result<(), &'static str> {
    let call = Call::new(number(&mut words)? as u16)
        .bx(number(&mut words)? as u16)
        .cx(number(&mut words)? as u16)
        .dx(number(&mut words)? as u16);
    let Call { ax, bx, cx, dx } = call.make();
    print!("done ax={ax:04x} bx={bx:04x} cx={cx:04x} dx={dx:04x}\n");
    Ok(())
}

fn dump(mut words: SplitWhitespace<'_>) -> Result<(), &'static str> {
    let (address, count) = (number(&mut words)?, number(&mut words)?);
    print!("bytes ");
    for at in address..address.saturating_add(count) {
        print!(
            "{:02x}",
            real_mode::read(at, Width::B1).ok_or("not in the first megabyte")?
        );
    }
    print!("\ndone\n");
    Ok(())
}

/// The next word, which is hexadecimal.
fn number(words: &mut SplitWhitespace<'_>) -> Result<u32, &'static str> {
    let word = words.next().ok_or("a number is missing")?;
    u32::from_str_radix(word, 16).map_err(|_| "not a hexadecimal number")
}
