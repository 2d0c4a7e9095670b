//! Rectangles, colours, and what a painter can do.

/// A colour, 0x00RRGGBB.
pub type Color = u32;

/// A position in pixels, from the top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Column.
    pub x: i32,
    /// Row.
    pub y: i32,
}

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub x: i32,
    /// First row.
    pub y: i32,
    /// Columns.
    pub width: i32,
    /// Rows.
    pub height: i32,
}

impl Rect {
    /// The rectangle of this position and size.
    pub const fn new(x: i32, y: i32, width: i32, height: i32) -> Self {
        Self { x, y, width, height }
    }

    /// Column behind the last.
    pub const fn right(self) -> i32 {
        self.x + self.width
    }

    /// Row behind the last.
    pub const fn bottom(self) -> i32 {
        self.y + self.height
    }

    /// The rectangle without a border of `by` pixels.
    pub const fn inset(self, by: i32) -> Self {
        Self::new(self.x + by, self.y + by, self.width - 2 * by, self.height - 2 * by)
    }
}

/// A picture to copy, produced row by row.
pub trait Image {
    /// Writes row `y`, from 0, of the picture; `out` is as long as the picture is wide.
    fn row(&self, y: i32, out: &mut [Color]);
}

/// Something that can be drawn on. All areas are inside the picture and not empty.
pub trait Painter {
    /// Fills an area with one colour.
    fn fill(&mut self, area: Rect, color: Color);
    /// Draws a picture of the area's size.
    fn copy(&mut self, area: Rect, image: &dyn Image);
    /// Moves what is at `from` (an area of the same size, which may overlap) to `area`.
    fn copy_bits(&mut self, area: Rect, from: Point);
}
