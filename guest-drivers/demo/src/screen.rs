//! The scene's painter: every operation goes to the QXL device and into the guest's own picture.

use caraway_demo_scene::{
    CURSOR_HOT_SPOT, CURSOR_SIZE, Color, HEIGHT, Image, Painter, Point, Raster, Rect, WIDTH, cursor_pixels,
};
use caraway_guest_rt::qxl::{Area, CursorShape, Pixels, Qxl, QxlError};

/// The display with the picture it should show.
#[derive(Debug)]
pub struct Screen {
    qxl: Qxl,
    raster: Raster<'static>,
    /// The first error since it was last asked for; nothing is sent to the device after it.
    error: Option<QxlError>,
    pointer: Option<Point>,
}

impl Screen {
    /// Takes the display over and creates its primary surface.
    pub fn open(raster: Raster<'static>) -> Result<Self, QxlError> {
        let mut screen = Self {
            qxl: Qxl::open()?,
            raster,
            error: None,
            pointer: None,
        };
        screen.qxl.create_primary(WIDTH as u32, HEIGHT as u32)?;
        Ok(screen)
    }

    /// Resets the display; everything has to be painted again.
    pub fn restart(&mut self) -> Result<(), QxlError> {
        self.error = None;
        self.pointer = None;
        self.qxl.reset()?;
        self.qxl.create_primary(WIDTH as u32, HEIGHT as u32)
    }

    /// Waits until the device has drawn everything.
    pub fn finish(&mut self) -> Result<(), QxlError> {
        self.check()?;
        self.qxl.finish()
    }

    /// Brings the hardware cursor to the pointer's position.
    pub fn show_pointer(&mut self, at: Point) -> Result<(), QxlError> {
        self.check()?;
        match self.pointer {
            Some(old) if old == at => return Ok(()),
            Some(_) => self.qxl.move_cursor(at.x, at.y)?,
            None => {
                let size = (CURSOR_SIZE as u16, CURSOR_SIZE as u16);
                let shape = CursorShape {
                    size,
                    hot_spot: CURSOR_HOT_SPOT,
                    pixels: &cursor_pixels(),
                };
                self.qxl.set_cursor(&shape, at.x, at.y)?;
            }
        }
        self.pointer = Some(at);
        Ok(())
    }

    /// Shows the picture on one head, or its halves, side by side, on two.
    pub fn show_heads(&mut self, two: bool) -> Result<(), QxlError> {
        self.check()?;
        let whole = Rect::new(0, 0, WIDTH as i32, HEIGHT as i32);
        let half = WIDTH as i32 / 2;
        if two {
            let right = Rect::new(half, 0, half, HEIGHT as i32);
            self.qxl.show_heads(&[area(Rect { width: half, ..whole }), area(right)])
        } else {
            self.qxl.show_heads(&[area(whole)])
        }
    }

    /// Takes back the memory of finished commands.
    pub fn collect(&mut self) {
        self.qxl.collect();
    }

    /// Commands the device has not given back.
    pub fn outstanding(&self) -> usize {
        self.qxl.outstanding()
    }

    /// Checksum of the guest's own picture.
    pub fn hash(&self) -> u64 {
        self.raster.hash()
    }

    fn check(&mut self) -> Result<(), QxlError> {
        self.error.take().map_or(Ok(()), Err)
    }

    fn send(&mut self, draw: impl FnOnce(&mut Qxl) -> Result<(), QxlError>) {
        if self.error.is_none() {
            self.error = draw(&mut self.qxl).err();
        }
    }
}

fn area(rect: Rect) -> Area {
    Area {
        left: rect.x,
        top: rect.y,
        right: rect.right(),
        bottom: rect.bottom(),
    }
}

/// A scene's image as a device wants it.
struct Adapter<'a>(&'a dyn Image);

impl Pixels for Adapter<'_> {
    fn row(&self, y: u32, out: &mut [[u8; 4]]) {
        let mut row = [0; WIDTH];
        let row = row.get_mut(..out.len()).unwrap_or_default();
        self.0.row(y as i32, row);
        for (pixel, color) in out.iter_mut().zip(row) {
            *pixel = color.to_le_bytes();
        }
    }
}

impl Painter for Screen {
    fn fill(&mut self, rect: Rect, color: Color) {
        self.raster.fill(rect, color);
        self.send(|qxl| qxl.fill(area(rect), color));
    }

    fn copy(&mut self, rect: Rect, image: &dyn Image) {
        self.raster.copy(rect, image);
        self.send(|qxl| qxl.copy(area(rect), &Adapter(image)));
    }

    fn copy_bits(&mut self, rect: Rect, from: Point) {
        self.raster.copy_bits(rect, from);
        self.send(|qxl| qxl.copy_bits(area(rect), from.x, from.y));
    }
}
