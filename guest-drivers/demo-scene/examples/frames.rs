//! Prints where the video plays (`X Y WIDTH HEIGHT`), then writes every frame of it to standard output, one after the
//! other: of every eighth row each eighth pixel, as blue, green, red.

use std::io::Write;

use caraway_demo_scene::{HEIGHT, Raster, Scene, VIDEO_AREA, VIDEO_FRAMES, WIDTH};

const STEP: usize = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let area = VIDEO_AREA;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} {} {} {}", area.x, area.y, area.width, area.height)?;
    let mut scene = Scene::new();
    let mut pixels = vec![0; WIDTH * HEIGHT];
    for _ in 0..VIDEO_FRAMES {
        scene.tick();
        let mut raster = Raster::new(&mut pixels).ok_or("the buffer has another size than the picture")?;
        scene.paint(&mut raster);
        for y in (area.y..area.bottom()).step_by(STEP) {
            let row = raster
                .pixels()
                .chunks(WIDTH)
                .nth(usize::try_from(y)?)
                .unwrap_or_default();
            for x in (area.x..area.right()).step_by(STEP) {
                let pixel = row.get(usize::try_from(x)?).copied().unwrap_or_default();
                let [blue, green, red, _] = pixel.to_le_bytes();
                out.write_all(&[blue, green, red])?;
            }
        }
    }
    Ok(())
}
