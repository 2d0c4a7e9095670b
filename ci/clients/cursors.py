"""Recordings of a screen with one shape of the pointer, of every type, and what clients have to make of them."""

import struct
from pathlib import Path

import numpy

from spice.picture import Picture

# Of shapes; a multiple of 8, since spice-gtk takes the bits of a mask as one run.
SIDE = 16
HOT = (3, 5)
# Where the hot spot is, on a screen of this size and colour.
AT = (100, 60)
SCREEN = (320, 200)
GREY = 0x80
# It is moved so often, with so many nanoseconds in between.
MOVES, MOVE_NS = 20, 100_000_000
# Colours of a column each, which all types can show but mono.
COLORS = (0x000000, 0xFF0000, 0x00FF00, 0x0000FF, 0xFFFF00, 0xFF00FF, 0x00FFFF, 0xFFFFFF)
# header.type of a recording.
TYPES = {"alpha": 0, "mono": 1, "colour 4": 2, "colour 8": 3, "colour 16": 4, "colour 24": 5, "colour 32": 6}


def _is_seen(x: int, y: int) -> bool:
    """Whether a pixel covers what is behind it: a triangle, so that no flip or turn is the same."""
    return x <= y


def _color(kind: str, x: int) -> int:
    """As clients show it: spice-gtk fills the low bits of a colour of 5 bits with zeros."""
    if kind == "colour 16":
        return COLORS[x % len(COLORS)] & 0xF8F8F8
    if kind == "mono":
        return 0xFFFFFF if x % 2 else 0
    return COLORS[x % len(COLORS)]


def rgba(kind: str) -> bytes:
    """R, G, B, A of each pixel as it is meant; of those that are seen through only A, 0, counts."""
    pixels = bytearray()
    for y in range(SIDE):
        for x in range(SIDE):
            color = _color(kind, x)
            pixels += bytes([color >> 16, color >> 8 & 0xFF, color & 0xFF, 0xFF]) if _is_seen(x, y) else bytes(4)
    return bytes(pixels)


def _mask() -> bytes:
    """A bit for each pixel that is seen through."""
    rows = (sum((not _is_seen(x, y)) << (SIDE - 1 - x) for x in range(SIDE)) for y in range(SIDE))
    return b"".join(row.to_bytes(SIDE // 8, "big") for row in rows)


def data(kind: str) -> bytes:
    """The shape as a driver has it: pixels, palette, mask. What is seen through is black, else it would invert."""
    colors = [_color(kind, x) if _is_seen(x, y) else 0 for y in range(SIDE) for x in range(SIDE)]
    if kind == "alpha":
        seen = (_is_seen(x, y) for y in range(SIDE) for x in range(SIDE))
        return b"".join(struct.pack("<I", color | 0xFF000000 * solid) for color, solid in zip(colors, seen))
    if kind == "mono":
        white = (sum((_color(kind, x) != 0 and _is_seen(x, y)) << (SIDE - 1 - x) for x in range(SIDE)) for y in range(SIDE))
        return _mask() + b"".join(row.to_bytes(SIDE // 8, "big") for row in white)
    if kind in ("colour 4", "colour 8"):
        count = 16 if kind == "colour 4" else 256
        palette = [*COLORS, *[0x123456] * (count - len(COLORS))]
        index = [COLORS.index(color) for color in colors]
        if count == 16:
            pixels = bytes(high << 4 | low for high, low in zip(index[::2], index[1::2]))
        else:
            pixels = bytes(index)
        return pixels + struct.pack(f"<{count}I", *palette) + _mask()
    if kind == "colour 16":
        words = ((color >> 19 & 31) << 10 | (color >> 11 & 31) << 5 | color >> 3 & 31 for color in colors)
        return b"".join(struct.pack("<H", word) for word in words) + _mask()
    size = 3 if kind == "colour 24" else 4
    return b"".join(color.to_bytes(4, "little")[:size] for color in colors) + _mask()


def record(kind: str, path: Path) -> None:
    """Writes a recording, in the format "SPICE_REPLAY 1": a grey screen, and the pointer."""
    width, height = SCREEN
    screen = bytes([GREY, GREY, GREY, 0]) * (width * height)
    shape = data(kind)
    text = (
        f"SPICE_REPLAY 1\nevent 0 1 20 1000\n{width} {height} {width * 4} 32\n0 0 1 0\n".encode()
        + f"binary 0 data {len(screen)}:".encode()
        + screen
        + f"\nevent 1 0 3 2000\ncursor_cmd\ntype 0\npoint16 {AT[0]} {AT[1]}\nu.set.visible 1\n".encode()
        + f"header.unique 0\nheader.type {TYPES[kind]}\nheader.width {SIDE}\nheader.height {SIDE}\n".encode()
        + f"header.hot_spot_x {HOT[0]}\nheader.hot_spot_y {HOT[1]}\n".encode()
        + f"data_size {len(shape)}\ndata_chunks 0 {len(shape)}\nbinary 0 cursor {len(shape)}:".encode()
        + shape
        + b"\n"
    )
    # Away and back: remote-viewer shows a pointer when it is moved. The last step leads to its place.
    for number in range(MOVES):
        x = AT[0] + (number + MOVES + 1) % 2
        text += f"event {number + 2} 0 3 {(number + 1) * MOVE_NS}\ncursor_cmd\ntype 1\npoint16 {x} {AT[1]}\n".encode()
    path.write_bytes(text)


def screen(kind: str | None) -> Picture:
    """The screen with the pointer on it, or without one."""
    width, height = SCREEN
    pixels = numpy.full((height, width, 3), GREY, numpy.uint8)
    if kind:
        shape = numpy.frombuffer(rgba(kind), numpy.uint8).reshape(SIDE, SIDE, 4)
        left, top = AT[0] - HOT[0], AT[1] - HOT[1]
        area = pixels[top : top + SIDE, left : left + SIDE]
        seen = shape[:, :, 3] != 0
        area[seen] = shape[:, :, 2::-1][seen]
    return Picture(pixels)


def different(kind: str, seen: bytes) -> list[tuple[int, int, str, str]]:
    """Pixels (R, G, B, A) that are not as they are meant: place, what is there, what should be."""
    wanted = rgba(kind)
    pixels = [(at // 4 % SIDE, at // 4 // SIDE, seen[at : at + 4], wanted[at : at + 4]) for at in range(0, len(wanted), 4)]
    return [(x, y, a.hex(), b.hex()) for x, y, a, b in pixels if (a != b if b[3] else a[3] != 0)]
