//! Operators of Render that divide. The reference client calculates them in single precision; so does this, step by step, so
//! that pictures of 8 bits come out the same.

/// An operator that divides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floating {
    Saturate,
    ColorDodge,
    ColorBurn,
    SoftLight,
    Hue,
    Saturation,
    Color,
    Luminosity,
}

/// Alpha, red, green and blue, 0 to 1, premultiplied.
type Pixel = [f32; 4];
/// Red, green and blue.
type Rgb = [f32; 3];

/// The result for a source, its mask, if there is one, and a destination.
pub(crate) fn apply(operator: Floating, source: u32, mask: Option<u32>, by_component: bool, dest: u32) -> u32 {
    let (mut source, before) = (unpacked(source), unpacked(dest));
    let mut alphas = [source[0]; 4];
    if let Some(mask) = mask.map(unpacked) {
        let factors = if by_component { mask } else { [mask[0]; 4] };
        let alpha = source[0];
        for ((component, of_component), factor) in source.iter_mut().zip(&mut alphas).zip(factors) {
            *component *= factor;
            *of_component = factor * alpha;
        }
    }
    match operator {
        Floating::Saturate => {
            let mut result = before;
            for ((d, s), alpha) in result.iter_mut().zip(source).zip(alphas) {
                *d = at_most_1(s * room(alpha, before[0]) + *d);
            }
            packed(result)
        }
        Floating::ColorDodge | Floating::ColorBurn | Floating::SoftLight => {
            let (da, mut result) = (before[0], before);
            result[0] = da + alphas[0] - da * alphas[0];
            for ((d, s), sa) in result.iter_mut().zip(source).zip(alphas).skip(1) {
                let apart = (1.0 - sa) * *d + (1.0 - da) * s;
                *d = apart + both(operator, sa, s, da, *d);
            }
            packed(result)
        }
        // What they would do by components is nowhere defined.
        _ if by_component && mask.is_some() => dest,
        _ => {
            let ([sa, red, green, blue], [da, ..]) = (source, before);
            let (sc, dc) = ([red, green, blue], [before[1], before[2], before[3]]);
            let mixed = mixed(operator, sc, sa, dc, da);
            let mut result = [sa + da - sa * da, 0.0, 0.0, 0.0];
            for ((r, (s, d)), m) in result.iter_mut().skip(1).zip(sc.into_iter().zip(dc)).zip(mixed) {
                *r = (1.0 - sa) * d + (1.0 - da) * s + m;
            }
            packed(result)
        }
    }
}

fn unpacked(value: u32) -> Pixel {
    [24, 16, 8, 0].map(|shift| ((value >> shift) & 255) as f32 * (1.0 / 255.0))
}

/// 256 steps of equal width, the last of them 1 itself as well.
fn packed(pixel: Pixel) -> u32 {
    pixel.into_iter().fold(0, |all, component| {
        let step = (component.clamp(0.0, 1.0) * 256.0) as u32;
        all << 8 | (step - (step >> 8))
    })
}

const fn is_zero(value: f32) -> bool {
    -f32::MIN_POSITIVE < value && value < f32::MIN_POSITIVE
}

fn at_most_1(value: f32) -> f32 {
    if value > 1.0 { 1.0 } else { value }
}

/// How much of a source there is room for beside a destination.
fn room(source: f32, dest: f32) -> f32 {
    if is_zero(source) {
        return 1.0;
    }
    ((1.0 - dest) / source).clamp(0.0, 1.0)
}

/// A function of two colours where both are, times both alphas.
fn both(operator: Floating, sa: f32, s: f32, da: f32, d: f32) -> f32 {
    match operator {
        Floating::ColorDodge if is_zero(d) => 0.0,
        Floating::ColorDodge if d * sa >= sa * da - s * da || is_zero(sa - s) => sa * da,
        Floating::ColorDodge => sa * sa * d / (sa - s),
        Floating::ColorBurn if d >= da => sa * da,
        Floating::ColorBurn if sa * (da - d) >= s * da || is_zero(s) => 0.0,
        Floating::ColorBurn => sa * (da - sa * (da - d) / s),
        _ if is_zero(da) => d * sa,
        _ if 2.0 * s <= sa => d * sa - d * (da - d) * (sa - 2.0 * s) / da,
        _ if 4.0 * d <= da => d * sa + (2.0 * s - sa) * d * ((16.0 * d / da - 12.0) * d / da + 3.0),
        _ => d * sa + ((d * da).sqrt() - d) * (2.0 * s - sa),
    }
}

/// A function of two colours as a whole where both are, times both alphas.
fn mixed(operator: Floating, source: Rgb, sa: f32, dest: Rgb, da: f32) -> Rgb {
    let times = |color: Rgb, factor: f32| color.map(|component| component * factor);
    let (limit, of_dest) = (sa * da, luminosity(dest) * sa);
    match operator {
        Floating::Hue => {
            let color = with_saturation(times(source, da), saturation(dest) * sa);
            with_luminosity(color, limit, of_dest)
        }
        Floating::Saturation => {
            let color = with_saturation(times(dest, sa), saturation(source) * da);
            with_luminosity(color, limit, of_dest)
        }
        Floating::Luminosity => with_luminosity(times(dest, sa), limit, luminosity(source) * da),
        _ => with_luminosity(times(source, da), limit, of_dest),
    }
}

fn luminosity([red, green, blue]: Rgb) -> f32 {
    red * 0.3 + green * 0.59 + blue * 0.11
}

fn saturation(color: Rgb) -> f32 {
    let (least, most) = extremes(color);
    most - least
}

fn extremes([red, green, blue]: Rgb) -> (f32, f32) {
    (red.min(green).min(blue), red.max(green).max(blue))
}

/// The colour moved to a luminosity, and drawn together around it where it leaves 0 to `limit`.
fn with_luminosity(color: Rgb, limit: f32, wanted: f32) -> Rgb {
    let by = wanted - luminosity(color);
    let mut color = color.map(|component| component + by);
    let middle = luminosity(color);
    let (least, most) = extremes(color);
    if least < 0.0 {
        let reach = middle - least;
        color = color.map(|c| {
            if is_zero(reach) {
                0.0
            } else {
                middle + (c - middle) * middle / reach
            }
        });
    }
    if most > limit {
        let reach = most - middle;
        color = color.map(|c| {
            if is_zero(reach) {
                limit
            } else {
                middle + (c - middle) * (limit - middle) / reach
            }
        });
    }
    color
}

/// The colour stretched so that its components reach from 0 to `wanted`.
fn with_saturation(color: Rgb, wanted: f32) -> Rgb {
    let (least, most) = extremes(color);
    let reach = most - least;
    if is_zero(reach) {
        return [0.0; 3];
    }
    let middle = |c: f32| (c - least) * wanted / reach;
    // Of equal ones only one is the greatest, which makes no difference but in the last place.
    color.map(|c| if c == most { wanted } else { middle(c) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_of_8_bits_come_back() {
        for value in 0..=255u32 {
            let pixel = value * 0x0101_0101;
            assert_eq!(packed(unpacked(pixel)), pixel);
        }
    }

    #[test]
    fn saturate_fills_the_room_that_is_left() {
        let saturate = |s, d| apply(Floating::Saturate, s, None, false, d);
        assert_eq!(saturate(0x8080_0000, 0x4000_0040), 0xc080_0040);
        assert_eq!(saturate(0x8080_0000, 0xc000_00c0), 0xff3f_00c0);
        assert_eq!(saturate(0x8080_0000, 0xff00_00c0), 0xff00_00c0);
        assert_eq!(saturate(0, 0x1234_5678), 0x1234_5678);
    }

    #[test]
    fn grey_has_no_hue_to_give() {
        let (grey, red) = (0xff80_8080, 0xffff_0000);
        let on = |operator, s, d| apply(operator, s, None, false, d);
        // Red has a luminosity of 0.3.
        assert_eq!(on(Floating::Hue, grey, red), 0xff4c_4c4c);
        assert_eq!(on(Floating::Color, grey, red), 0xff4c_4c4c);
        assert_eq!(on(Floating::Saturation, grey, red), 0xff4c_4c4c);
        assert_eq!(on(Floating::Saturation, red, grey), grey);
        assert_eq!(on(Floating::Luminosity, red, grey), 0xff4c_4c4c);
    }

    #[test]
    fn by_components_colours_as_a_whole_stay() {
        assert_eq!(
            apply(Floating::Hue, 0xffff_0000, Some(!0), true, 0xff12_3456),
            0xff12_3456
        );
        let by_alpha = apply(Floating::SoftLight, 0xffff_0000, Some(0x8000_0000), false, 0xff80_8080);
        assert_eq!(
            by_alpha,
            apply(Floating::SoftLight, 0xffff_0000, Some(0x8080_8080), true, 0xff80_8080)
        );
    }
}
