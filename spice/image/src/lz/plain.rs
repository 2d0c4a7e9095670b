//! The decoder as the format is written down: unit by unit. What the other one is compared with.

use super::{LzHeader, LzType};

/// The rows of the passes after `header`; `None` when the format does not allow them.
pub(super) fn decode(header: LzHeader, body: &[u8]) -> Option<Vec<u8>> {
    let mut rows = vec![0; header.kind.row_bytes(header.width) as usize * header.height as usize];
    let mut input = body.iter();
    // Bytes of a unit in the rows, where in it the bytes of a literal go in the order of the stream, shortest match.
    let passes: &[(usize, &[usize], usize)] = match header.kind {
        LzType::Rgb16 => &[(2, &[1, 0], 2)],
        LzType::Rgb24 => &[(3, &[0, 1, 2], 1)],
        LzType::Rgb32 => &[(4, &[0, 1, 2], 1)],
        LzType::Rgba => &[(4, &[0, 1, 2], 1), (4, &[3], 3)],
        LzType::Xxxa => &[(4, &[3], 3)],
        _ => &[(1, &[0], 3)],
    };
    for (step, places, min_match) in passes {
        let units = rows.len() / step;
        let mut at = 0;
        while at < units {
            let control = usize::from(*input.next()?);
            if control < 32 {
                for unit in at..=at + control {
                    for place in *places {
                        let byte = *input.next()?;
                        *rows.get_mut(unit * step + place)? = byte;
                    }
                }
                at += control + 1;
                continue;
            }
            let mut length = control / 32;
            if length == 7 {
                loop {
                    let more = *input.next()?;
                    length += usize::from(more);
                    if more != 255 {
                        break;
                    }
                }
            }
            let mut distance = control % 32 * 256 + usize::from(*input.next()?);
            if distance == 8191 {
                distance += usize::from(*input.next()?) * 256;
                distance += usize::from(*input.next()?);
            }
            for _ in 0..length + min_match - 1 {
                for place in *places {
                    let byte = *rows.get(at.checked_sub(distance + 1)? * step + place)?;
                    *rows.get_mut(at * step + place)? = byte;
                }
                at += 1;
            }
        }
    }
    input.next().is_none().then_some(rows)
}
