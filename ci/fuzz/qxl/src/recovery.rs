//! The end of every program: whatever happened, the device works again.

use crate::{
    guest::{Guest, field, port},
    machine::BAR0,
    program::{Brush, Draw},
};

const COLOUR: u32 = 0x0012_3456;

impl Guest {
    /// Looks at what the program left, then starts anew.
    pub(crate) fn finish(&mut self) {
        if self.machine.paused {
            self.machine.resume();
        }
        self.check_all_come_back();
        assert!(
            !self.guards || self.machine.is_guarded(),
            "something wrote where nobody should: behind the header or behind a slot"
        );
        self.machine.sink.renew();
        self.viewers.clear();
        self.recover();
        if self.machine.config.primary {
            self.machine_reset();
            self.machine.sink.renew();
            self.check_vga_shows();
        }
    }

    /// Resets, shows a known fill and finds it on the screen and in memory.
    fn recover(&mut self) {
        self.machine.store(field::INT_MASK, u32::MAX);
        self.machine.move_bar(0, Some(BAR0));
        self.bring_up(0);
        assert!(self.knows_commands);
        assert!(!self.machine.line(), "the interrupt line after a reset");
        self.objects.clear();
        self.draw(&Draw {
            kind: 1,
            bbox: [3, 5, 13, 21],
            brush: Brush {
                kind: 1,
                colour: COLOUR,
                ..Brush::default()
            },
            rop: 8,
            ..Draw::default()
        });
        self.machine.argument(field::UPDATE_AREA, &[0, 0, 48, 64, 0]);
        self.port(port::UPDATE_AREA, 0);
        let shown = self.machine.sink.whole(0).expect("the screen");
        let stride = shown.stride as usize;
        // The compatibility mode's screen lies upside down in memory.
        let (width, height) = (shown.width as usize, shown.height as usize);
        let upside_down = self.compat;
        let mut filled = [0; 4 * 64];
        for pixel in filled[4 * 5..4 * 21].chunks_exact_mut(4) {
            pixel.copy_from_slice(&COLOUR.to_le_bytes());
        }
        for y in 0..48 {
            let stored = if upside_down { height - 1 - y } else { y };
            let mut kept = [0; 4 * 64];
            let at = (stored * width * 4) as u64;
            self.machine.ram.read(at, &mut kept).expect("inside the memory");
            let expected = if (3..13).contains(&y) { filled } else { [0; 4 * 64] };
            let seen = &shown.data[y * stride..][..4 * 64];
            assert!(seen == expected, "line {y} of the screen after a reset");
            assert!(kept == expected, "line {y} of the screen in memory after a reset");
        }
        self.check_all_come_back();
        assert!(
            self.machine.config.revision < 3 || self.given.is_empty(),
            "the fill did not come back"
        );
    }
}
