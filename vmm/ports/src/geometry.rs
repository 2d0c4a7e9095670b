//! Points and rectangles, in pixels of a surface, origin top left.

/// A point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: i32,
    /// Pixels from the top edge.
    pub y: i32,
}

impl Point {
    /// The point at `x`, `y`.
    #[must_use]
    pub const fn new(x: i32, y: i32) -> Self {
        Self { x, y }
    }
}

/// A rectangle; `right` and `bottom` are exclusive. Field order is that of QXL and SPICE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rect {
    /// First row.
    pub top: i32,
    /// First column.
    pub left: i32,
    /// Row after the last.
    pub bottom: i32,
    /// Column after the last.
    pub right: i32,
}

impl Rect {
    /// The rectangle of `width` x `height` pixels whose top left corner is `x`, `y`. Edges saturate.
    #[must_use]
    pub fn at(x: i32, y: i32, width: u32, height: u32) -> Self {
        Self {
            top: y,
            left: x,
            bottom: y.saturating_add_unsigned(height),
            right: x.saturating_add_unsigned(width),
        }
    }

    /// Pixels across; 0 when inverted.
    #[must_use]
    pub fn width(&self) -> u32 {
        u32::try_from(i64::from(self.right) - i64::from(self.left)).unwrap_or(0)
    }

    /// Rows; 0 when inverted.
    #[must_use]
    pub fn height(&self) -> u32 {
        u32::try_from(i64::from(self.bottom) - i64::from(self.top)).unwrap_or(0)
    }

    /// Whether it holds no pixel.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left >= self.right || self.top >= self.bottom
    }

    /// Pixels inside.
    #[must_use]
    pub fn area(&self) -> u64 {
        u64::from(self.width()) * u64::from(self.height())
    }

    /// The pixels in both; an empty rectangle at the origin when there are none.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let both = Self {
            top: self.top.max(other.top),
            left: self.left.max(other.left),
            bottom: self.bottom.min(other.bottom),
            right: self.right.min(other.right),
        };
        if both.is_empty() { Self::default() } else { both }
    }

    /// The smallest rectangle around both; an empty one adds nothing.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        Self {
            top: self.top.min(other.top),
            left: self.left.min(other.left),
            bottom: self.bottom.max(other.bottom),
            right: self.right.max(other.right),
        }
    }

    /// Whether every pixel of `other` is in this one. An empty `other` is in all.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.is_empty()
            || (self.left <= other.left
                && self.top <= other.top
                && self.right >= other.right
                && self.bottom >= other.bottom)
    }

    /// Moved by `dx`, `dy`; edges saturate.
    #[must_use]
    pub const fn translate(&self, dx: i32, dy: i32) -> Self {
        Self {
            top: self.top.saturating_add(dy),
            left: self.left.saturating_add(dx),
            bottom: self.bottom.saturating_add(dy),
            right: self.right.saturating_add(dx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intersection_of_disjoint_rectangles_is_empty() {
        let a = Rect::at(0, 0, 10, 10);
        assert!(a.intersect(&Rect::at(10, 0, 5, 5)).is_empty());
    }

    #[test]
    fn sizes_of_inverted_and_extreme_rectangles_do_not_overflow() {
        let all = Rect {
            top: i32::MIN,
            left: i32::MIN,
            bottom: i32::MAX,
            right: i32::MAX,
        };
        assert_eq!(all.width(), u32::MAX);
        let inverted = Rect {
            top: 5,
            left: 5,
            bottom: 1,
            right: 1,
        };
        assert_eq!((inverted.width(), inverted.height(), inverted.area()), (0, 0, 0));
    }

    #[test]
    fn union_ignores_an_empty_side() {
        let a = Rect::at(3, 4, 5, 6);
        assert_eq!(a.union(&Rect::default()), a);
        assert_eq!(Rect::default().union(&a), a);
    }
}
