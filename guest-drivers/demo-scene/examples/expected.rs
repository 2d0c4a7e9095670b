//! Prints the checksum of the frozen demo picture after events read from standard input, one a line:
//! `key HEX` (a byte of scan code set 1), `motion DX DY`, `buttons N`, `wheel N`, `video on` or `video off`. With an argument, writes the
//! picture to that file as PPM.

use std::io::{BufRead, Write};

use caraway_demo_scene::{HEIGHT, Raster, Scene, WIDTH};

fn apply(scene: &mut Scene, line: &str) -> Option<()> {
    let mut words = line.split_whitespace();
    match words.next()? {
        "key" => scene.key(u8::from_str_radix(words.next()?, 16).ok()?),
        "motion" => scene.motion(words.next()?.parse().ok()?, words.next()?.parse().ok()?),
        "buttons" => scene.buttons(words.next()?.parse().ok()?),
        "video" => scene.set_video(words.next()? == "on"),
        "wheel" => scene.wheel(words.next()?.parse().ok()?),
        _ => return None,
    }
    Some(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut scene = Scene::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if !line.trim().is_empty() {
            apply(&mut scene, &line).ok_or_else(|| format!("not an event: {line}"))?;
        }
    }
    scene.freeze();
    let mut pixels = vec![0; WIDTH * HEIGHT];
    let mut raster = Raster::new(&mut pixels).ok_or("the buffer has another size than the picture")?;
    scene.paint(&mut raster);
    println!("{:016x}", raster.hash());
    if let Some(path) = std::env::args().nth(1) {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        write!(file, "P6\n{WIDTH} {HEIGHT}\n255\n")?;
        for pixel in raster.pixels() {
            let [blue, green, red, _] = pixel.to_le_bytes();
            file.write_all(&[red, green, blue])?;
        }
    }
    Ok(())
}
