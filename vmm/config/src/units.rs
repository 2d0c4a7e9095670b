//! Values with units, as people write them.

use std::time::Duration;

/// Bytes from text such as `"512 MiB"`, `"1GiB"`, `"2 G"`. Units are powers of 1024; a bare number is refused, since
/// bytes and megabytes are too easily confused.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let value: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a size such as \"512 MiB\""))?;
    let factor: u64 = match unit {
        "KiB" | "K" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        "TiB" | "T" => 1 << 40,
        "" => {
            return Err(format!(
                "{text:?} has no unit: write \"{value} MiB\" or \"{value} GiB\""
            ));
        }
        other => return Err(format!("unknown unit {other:?} in {text:?}: use KiB, MiB, GiB or TiB")),
    };
    value
        .checked_mul(factor)
        .ok_or_else(|| format!("{text:?} is more than 64 bits can count"))
}

/// A duration from text such as `"30 s"`, `"500ms"`, `"2 min"`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let value: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a duration such as \"30 s\""))?;
    match unit {
        "ms" => Ok(Duration::from_millis(value)),
        "s" => Ok(Duration::from_secs(value)),
        "min" => value
            .checked_mul(60)
            .map(Duration::from_secs)
            .ok_or_else(|| format!("{text:?} is too long")),
        _ => Err(format!("{text:?} needs a unit: ms, s or min")),
    }
}

/// Bits a second from text such as `"10 Mbit/s"`. Units are powers of 1000, as they are for links.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let value: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a rate such as \"10 Mbit/s\""))?;
    let factor = RATES.iter().find(|(_, name)| *name == unit).map(|(factor, _)| *factor);
    let factor = factor.ok_or_else(|| format!("{text:?} needs a unit: kbit/s, Mbit/s or Gbit/s"))?;
    value
        .checked_mul(factor)
        .ok_or_else(|| format!("{text:?} is more than 64 bits can count"))
}

/// Bits a second in the largest unit that is exact.
pub(crate) fn format_rate(bits: u64) -> String {
    let unit = RATES
        .iter()
        .find(|(factor, _)| bits >= *factor && bits.is_multiple_of(*factor));
    unit.map_or_else(
        || format!("{bits} bit/s"),
        |(factor, name)| format!("{} {name}", bits / factor),
    )
}

/// Units of rates, the largest first.
const RATES: [(u64, &str); 3] = [(1_000_000_000, "Gbit/s"), (1_000_000, "Mbit/s"), (1000, "kbit/s")];

/// Width and height from text such as `"2560x1600"`.
pub(crate) fn parse_resolution(text: &str) -> Result<(u32, u32), String> {
    let parse = || {
        let (width, height) = text.split_once('x')?;
        Some((width.trim().parse().ok()?, height.trim().parse().ok()?))
    };
    parse().ok_or_else(|| format!("{text:?} is not a resolution such as \"2560x1600\""))
}

/// Bytes in the largest binary unit that is exact.
pub(crate) fn format_size(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} B")
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_with_units_are_powers_of_1024() {
        assert_eq!(parse_size("512 MiB"), Ok(512 << 20));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        assert_eq!(parse_size("2 G"), Ok(2 << 30));
    }

    #[test]
    fn sizes_without_unit_or_past_64_bits_are_refused() {
        assert!(parse_size("512").is_err_and(|m| m.contains("no unit")));
        assert!(parse_size("99999999999 TiB").is_err());
        assert!(parse_size("-1 MiB").is_err());
        assert!(parse_size("1 MB").is_err_and(|m| m.contains("MiB")));
    }

    #[test]
    fn durations_and_resolutions_parse() {
        assert_eq!(parse_duration("30 s"), Ok(Duration::from_secs(30)));
        assert!(parse_duration("30").is_err());
        assert_eq!(parse_resolution("2560x1600"), Ok((2560, 1600)));
        assert!(parse_resolution("2560").is_err());
    }

    #[test]
    fn rates_are_powers_of_1000_and_parse_back() {
        assert_eq!(parse_rate("10 Mbit/s"), Ok(10_000_000));
        assert_eq!(parse_rate("64kbit/s"), Ok(64_000));
        for wrong in [
            "10",
            "10 MB/s",
            "10 mbit/s",
            "-1 Mbit/s",
            "1.5 Mbit/s",
            "99999999999999 Gbit/s",
            "",
        ] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
        for rate in [1000, 64_000, 1_000_000, 1_500_000, 20_000_000_000] {
            assert_eq!(parse_rate(&format_rate(rate)), Ok(rate));
        }
        assert_eq!(
            (format_rate(1_500_000), format_rate(7)),
            ("1500 kbit/s".to_owned(), "7 bit/s".to_owned())
        );
    }

    #[test]
    fn formatted_sizes_parse_back() {
        for size in [4096, 1 << 20, 3 << 30] {
            assert_eq!(parse_size(&format_size(size)), Ok(size));
        }
    }
}
