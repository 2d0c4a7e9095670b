"""The drawing operations of the canvas's bench, as the commands of `ours/src/canvas.rs`."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import images
from bench.images import HEIGHT, SEED, WIDTH, Draws, mixed, smooth

# What a category's mean has to reach of the reference's speed; copies that scale are only shown.
BOUNDS = {"fills": 0.9, "copies": 0.9, "scales": None, "blends": 1.0, "glyphs": 1.0}
SCREEN = f"0 0 {WIDTH} {HEIGHT}"
ONE = 1 << 16
GLYPH_WIDTH, GLYPH_HEIGHT, LINE = 8, 14, 18


@dataclass(frozen=True)
class Cell:
    """Operations that are measured together."""

    category: str
    name: str
    commands: tuple[str, ...]
    # The format of the surface drawn on.
    target: str = "xrgb"


def premultiplied(picture: np.ndarray) -> np.ndarray:
    """A picture with alpha: a third opaque, a sixth clear, slopes between."""
    alpha = (smooth(SEED + 700, 64) * 2 - 85).clip(0, 255).astype(np.uint16)[..., None]
    colours = (picture * alpha + 127) // 255
    return np.concatenate([colours, alpha], axis=-1).astype(np.uint8)


def rgb565(picture: np.ndarray) -> np.ndarray:
    blue, green, red = (picture[..., channel].astype(np.uint16) for channel in range(3))
    return ((red >> 3) << 11 | (green >> 2) << 5 | blue >> 3).astype("<u2")


def packed(cover: np.ndarray, depth: int) -> bytes:
    """Rows of coverage with `depth` bits a pixel, the leftmost in the high bits."""
    if depth == 8:
        return cover.astype(np.uint8).tobytes()
    if depth == 4:
        return (cover[:, 0::2] >> 4 << 4 | cover[:, 1::2] >> 4).astype(np.uint8).tobytes()
    return np.packbits(cover > 127, axis=1).tobytes()


class Files:
    """What the cells read, written to a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        made = {name: images.PICTURES[name]() for name in ("UI text", "photo-like")}
        self._rows = {
            "screen.xrgb": images.rows(made["UI text"], "RGB32"),
            "screen.rgb565": rgb565(made["UI text"]).tobytes(),
            "photo.xrgb": images.rows(made["photo-like"], "RGB32"),
            "photo.argb": premultiplied(made["photo-like"]).tobytes(),
            "mask.a8": (smooth(SEED + 701, 32) * 2 - 85).clip(0, 255).astype(np.uint8).tobytes(),
            "tile.xrgb": images.rows(made["photo-like"][:64, :64], "RGB32"),
        }
        for name, rows in self._rows.items():
            (folder / name).write_bytes(rows)
        self._letters = images.glyphs(SEED + 1)

    def screen(self, target: str) -> str:
        """The command that loads the surface drawn on as it is before a cell."""
        return f"load s0 {target} {WIDTH} {HEIGHT} {self._folder / f'screen.{target}'}"

    def pictures(self) -> list[str]:
        """The commands that load everything else."""
        return [
            f"load i0 xrgb {WIDTH} {HEIGHT} {self._folder / 'photo.xrgb'}",
            f"load i1 argb {WIDTH} {HEIGHT} {self._folder / 'photo.argb'}",
            f"load i2 a8 {WIDTH} {HEIGHT} {self._folder / 'mask.a8'}",
            f"load i3 xrgb 64 64 {self._folder / 'tile.xrgb'}",
            f"load s1 xrgb {WIDTH} {HEIGHT} {self._folder / 'photo.xrgb'}",
        ]

    def strings(self, depth: int, length: int) -> list[str]:
        """The commands for 16 strings of glyphs."""
        draws = Draws(SEED + 800 + length)
        commands = []
        for line in range(16):
            data = b""
            for at in range(length):
                letter = self._letters[draws.below(len(self._letters))]
                head = struct.pack("<4i", 40 + at * GLYPH_WIDTH, 50 + line * LINE, GLYPH_WIDTH, GLYPH_HEIGHT)
                data += head + packed(letter[:, :GLYPH_WIDTH], depth)
            path = self._folder / f"string-{depth}-{length}-{line}"
            path.write_bytes(data)
            commands.append(f"text {SCREEN} {depth} {0x204A87} {length} {len(data)} {path}")
        return commands


def places(width: int, height: int, count: int) -> list[tuple[int, int]]:
    """Where boxes of this size lie, all over the screen."""
    right, down = (WIDTH - width, HEIGHT - height)
    return [
        (int(mixed(SEED + 900, at, 0)[0]) % (right + 1), int(mixed(SEED + 900, at, 1)[0]) % (down + 1))
        for at in range(count)
    ]


def each(command: str, size: int, count: int) -> tuple[str, ...]:
    """A command for each of `count` square boxes; {x} and {y} are where it lies."""
    return tuple(command.format(box=f"{x} {y} {size} {size}", x=x, y=y) for x, y in places(size, size, count))


def cells(files: Files) -> list[Cell]:
    """All of them, in the order of the report."""
    clips = tuple(f"clip {x} {y} 24 12" for x, y in places(24, 12, 200))
    half = f"0 0 {WIDTH // 2} {HEIGHT // 2}"
    double = f"0 0 {WIDTH} {HEIGHT}"
    found = [
        Cell("fills", "whole screen", (f"fill {SCREEN} {0x3465A4} put",)),
        Cell("fills", "64x64", each("fill {box} 3433892 put", 64, 64)),
        Cell("fills", "clip of 200 rectangles", (*clips, f"fill {SCREEN} {0x3465A4} put")),
        Cell("fills", "whole screen, XOR", (f"fill {SCREEN} {0x3465A4} xor",)),
        Cell("fills", "64x64, XOR", each("fill {box} 3433892 xor", 64, 64)),
        Cell("fills", "whole screen, tile of 64x64", (f"tile {SCREEN} i3 5 7",)),
        Cell("fills", "whole screen, 565", (f"fill {SCREEN} {0x34A4} put",), "rgb565"),
        Cell("copies", "whole screen", (f"copy {SCREEN} i0 {SCREEN} nearest put",)),
        Cell("copies", "256x256", each("copy {box} i0 {x} {y} 256 256 nearest put", 256, 16)),
        Cell("copies", "16x16", each("copy {box} i0 {x} {y} 16 16 nearest put", 16, 256)),
        Cell("copies", "whole screen, from a surface", (f"copy {SCREEN} s1 {SCREEN} nearest put",)),
        Cell("copies", "64x64, from a surface", each("copy {box} s1 {x} {y} 64 64 nearest put", 64, 64)),
        Cell("copies", "scroll up by 20 rows", (f"scroll 0 0 {WIDTH} {HEIGHT - 20} 0 20",)),
        Cell("copies", "scroll right by 8", (f"scroll 108 100 800 600 100 100",)),
        Cell("copies", "256x256, XOR", each("copy {box} i0 {x} {y} 256 256 nearest xor", 256, 16)),
        Cell("scales", "to double size, nearest", (f"copy {double} i0 {half} nearest put",)),
        Cell("scales", "to double size, interpolated", (f"copy {double} i0 {half} interpolate put",)),
        Cell("scales", "to a third, nearest", (f"copy 0 0 640 360 i0 {SCREEN} nearest put",)),
        Cell("scales", "to a third, interpolated", (f"copy 0 0 640 360 i0 {SCREEN} interpolate put",)),
        Cell("blends", "ARGB, whole screen", (f"blend {SCREEN} i1 0 0 255",)),
        Cell("blends", "ARGB, 256x256", each("blend {box} i1 {x} {y} 255", 256, 16)),
        Cell("blends", "ARGB, 24x24", each("blend {box} i1 {x} {y} 255", 24, 128)),
        Cell("blends", "xRGB, times 128", (f"blend {SCREEN} i0 0 0 128",)),
        Cell("blends", "xRGB 64x64, times 128", each("blend {box} i0 {x} {y} 128", 64, 64)),
        Cell("blends", "ARGB, times 128", (f"blend {SCREEN} i1 0 0 128",)),
        Cell("blends", "ARGB on 565", (f"blend {SCREEN} i1 0 0 255",), "rgb565"),
        Cell("blends", "ARGB on 565, times 128", (f"blend {SCREEN} i1 0 0 128",), "rgb565"),
        Cell("blends", "composite over", (f"composite {SCREEN} i1 - nearest {ONE}",)),
        Cell("blends", "composite xRGB in an A8 mask", (f"composite {SCREEN} i0 i2 nearest {ONE}",)),
        Cell("blends", "composite ARGB in an A8 mask", (f"composite {SCREEN} i1 i2 nearest {ONE}",)),
        Cell("blends", "composite doubled, nearest", (f"composite {SCREEN} i1 - nearest {ONE // 2}",)),
        Cell("blends", "composite doubled, interpolated", (f"composite {SCREEN} i1 - interpolate {ONE // 2}",)),
        Cell("blends", "composite doubled, interpolated, in an A8 mask",
             (f"composite {SCREEN} i1 i2 interpolate {ONE // 2}",)),
    ]  # fmt: skip
    for depth in (8, 4, 1):
        for length in (10, 80):
            found.append(Cell("glyphs", f"{length} of {depth} bits", tuple(files.strings(depth, length))))
    found.append(Cell("glyphs", "80 of 8 bits, on 565", tuple(files.strings(8, 80)), "rgb565"))
    return found
