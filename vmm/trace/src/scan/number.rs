//! Numbers of the file: decimal, each of its field's width.

/// A number as the file writes it.
pub(crate) trait Number: Sized {
    fn parse(text: &str) -> Option<Self>;
}

fn integer<T: std::str::FromStr>(text: &str) -> Option<T> {
    // The standard library would take a plus sign.
    if text.starts_with('+') {
        return None;
    }
    text.parse().ok()
}

impl Number for u64 {
    fn parse(text: &str) -> Option<Self> {
        integer(text)
    }
}

// Fields of 32 bits are written as signed numbers; other programs may write them unsigned.
impl Number for u32 {
    fn parse(text: &str) -> Option<Self> {
        let value: i64 = integer(text)?;
        let signed = || i32::try_from(value).map(i32::cast_unsigned);
        Self::try_from(value).or_else(|_| signed()).ok()
    }
}

impl Number for i32 {
    fn parse(text: &str) -> Option<Self> {
        u32::parse(text).map(u32::cast_signed)
    }
}

impl Number for u16 {
    fn parse(text: &str) -> Option<Self> {
        integer(text)
    }
}

impl Number for i16 {
    fn parse(text: &str) -> Option<Self> {
        integer(text)
    }
}

impl Number for u8 {
    fn parse(text: &str) -> Option<Self> {
        integer(text)
    }
}

impl Number for bool {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }
    }
}
