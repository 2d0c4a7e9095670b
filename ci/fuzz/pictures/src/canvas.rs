//! Programs of drawings: surfaces of all formats, every operation with numbers good and bad.
//!
//! After each drawing only the pixels of its box, its clip and the rectangle it named may have changed, and none at all when
//! it was refused.

mod drawing;

use caraway_canvas::{Canvas, Limits};
use caraway_ports::{
    display::{Pixels, SurfaceSpec},
    drawing::{Clip, Drawable, SurfaceFormat},
    geometry::Rect,
};

use crate::input::Input;

const FORMATS: [SurfaceFormat; 6] = [
    SurfaceFormat::Xrgb,
    SurfaceFormat::Argb,
    SurfaceFormat::Rgb555,
    SurfaceFormat::Rgb565,
    SurfaceFormat::A8,
    SurfaceFormat::A1,
];
const LIMITS: Limits = Limits {
    max_side: 128,
    max_surfaces: 8,
    max_bytes: 256 << 10,
};
/// More drawings say nothing new and take time.
const MAX_STEPS: usize = 64;

pub(crate) fn run(program: &[u8]) {
    let mut input = Input::new(program);
    let mut canvas = Canvas::new(LIMITS);
    for step in 0..MAX_STEPS {
        if step > 0 && input.is_empty() {
            return;
        }
        match input.below(16) {
            0 => create(&mut canvas, &mut input),
            1 => {
                canvas.destroy(u32::from(input.below(8)));
            }
            _ => {
                if canvas.ids().next().is_none() {
                    create(&mut canvas, &mut input);
                }
                let drawable = drawing::drawable(&mut input, &canvas);
                draw(&mut canvas, &drawable);
            }
        }
    }
}

fn create(canvas: &mut Canvas, input: &mut Input<'_>) {
    let id = u32::from(input.below(8));
    let format = FORMATS[usize::from(input.below(6))];
    let (width, height) = (u32::from(input.below(160)), u32::from(input.below(160)));
    let pixels = input.flag().then(|| {
        let stride = format.row_bytes(width) as u32 + u32::from(input.below(4));
        let data = input.bytes(stride as usize * height as usize).into();
        Pixels {
            format,
            width,
            height,
            stride,
            data,
        }
    });
    let before = canvas.bytes();
    let spec = SurfaceSpec {
        id,
        width,
        height,
        format,
        pixels,
    };
    match canvas.create(&spec) {
        Ok(()) => assert_eq!(canvas.area(id), Some(Rect::at(0, 0, width, height))),
        Err(_) => assert_eq!(canvas.bytes(), before),
    }
    assert!(canvas.bytes() <= LIMITS.max_bytes);
}

fn draw(canvas: &mut Canvas, drawable: &Drawable) {
    let content = |canvas: &Canvas| {
        canvas
            .area(drawable.surface)
            .and_then(|area| canvas.read(drawable.surface, area))
    };
    let before = content(canvas);
    let result = canvas.draw(drawable);
    let after = content(canvas);
    let (Some(before), Some(after)) = (before, after) else {
        return assert!(result.is_err(), "drawn on no surface: {drawable:?}");
    };
    let Ok(drawn) = result else {
        return assert!(before == after, "refused, but drawn: {drawable:?}");
    };
    let may = |x: i32, y: i32| {
        let inside = |rect: &Rect| rect.left <= x && x < rect.right && rect.top <= y && y < rect.bottom;
        let clipped = match &drawable.clip {
            Clip::None => true,
            Clip::Rects(rects) => rects.iter().any(inside),
        };
        inside(&drawn.bbox) && inside(&drawable.bbox) && clipped
    };
    if let Some((x, y)) = changes(&before, &after).find(|(x, y)| !may(*x, *y)) {
        panic!("{x},{y} has changed, outside {:?}: {drawable:?}", drawn.bbox);
    }
}

/// The pixels that differ; of 1-bit pixels those of a byte that does.
fn changes<'a>(before: &'a Pixels, after: &'a Pixels) -> impl Iterator<Item = (i32, i32)> + 'a {
    let bits = before.format.bits_per_pixel() as usize;
    let stride = before.stride as usize;
    let rows = before.data.chunks(stride).zip(after.data.chunks(stride)).enumerate();
    rows.flat_map(move |(y, (before, after))| {
        let width = before.len() * 8 / bits;
        let differs = move |x: usize| match bits {
            1 => (before[x / 8] ^ after[x / 8]) >> (x % 8) & 1 == 1,
            _ => before[x * bits / 8..][..bits / 8] != after[x * bits / 8..][..bits / 8],
        };
        (0..width)
            .filter(move |x| differs(*x))
            .map(move |x| (x as i32, y as i32))
    })
}

/// One program for each operation on each format, with numbers that are mostly good.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for format in 0..6 {
        for op in 0..drawing::OPERATIONS {
            // A surface, then the operation three times with bytes that run through all values.
            let mut program = vec![0, 0, format, 40, 30, 1, 0, 7, 0];
            for round in 0..3_u8 {
                program.extend([2, 0, 110, 110, 20, 15, 0, op]);
                program.extend((0..90_u8).map(|at| at.wrapping_mul(37 + 2 * round).wrapping_add(100 + format)));
            }
            seeds.push(program);
        }
    }
    seeds
}
