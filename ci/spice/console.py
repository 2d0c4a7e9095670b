"""Reads the text of a Linux framebuffer console off a picture, cell by cell, with the kernel's own font.

The font is taken out of the kernel image at test time: it is there as four header words (the third is the size, 4096)
followed by 256 glyphs of 16 bytes, in the order of code page 437.
"""

import struct
from pathlib import Path

import numpy

from .picture import Picture

CELL_WIDTH = 8
CELL_HEIGHT = 16
GLYPHS = 256
FONT_SIZE = GLYPHS * CELL_HEIGHT
HEADER = struct.pack("<4I", 0, 0, FONT_SIZE, 0)
FULL_BLOCK = 0xDB
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
# fbcon draws its cursor as an underline in the last two rows of the cell.
CURSOR_ROWS = 2


class FontError(Exception):
    """The kernel image holds no 8x16 font, or several."""


def font_of(vmlinux: Path) -> bytes:
    """The 8x16 VGA font inside an unpacked kernel image."""
    image = vmlinux.read_bytes()
    found = []
    at = image.find(HEADER)
    while at >= 0:
        font = image[at + len(HEADER) : at + len(HEADER) + FONT_SIZE]
        if len(font) == FONT_SIZE and _is_font(font):
            found.append(font)
        at = image.find(HEADER, at + 1)
    if len(set(found)) != 1:
        raise FontError(f"{vmlinux}: {len(set(found))} fonts of 8x16 pixels, expected one")
    return found[0]


def _glyph(font: bytes, code: int) -> bytes:
    return font[code * CELL_HEIGHT : (code + 1) * CELL_HEIGHT]


def _is_font(font: bytes) -> bool:
    printable = [_glyph(font, code) for code in range(0x21, 0x7F)]
    blank = bytes(CELL_HEIGHT)
    return (
        _glyph(font, ord(" ")) == blank
        and _glyph(font, FULL_BLOCK) == b"\xff" * CELL_HEIGHT
        and blank not in printable
        and len(set(printable)) == len(printable)
    )


class Reader:
    """Turns pictures of a console into text."""

    def __init__(self, font: bytes) -> None:
        self._codes: dict[bytes, str] = {}
        # ASCII last: where two codes share a glyph the plain character counts.
        for code in [*range(0x7F, GLYPHS), *range(0x21, 0x7F)]:
            self._codes[_glyph(font, code)] = bytes([code]).decode("cp437")
        self._codes[bytes(CELL_HEIGHT)] = " "
        self._codes[_glyph(font, FULL_BLOCK)] = "\N{FULL BLOCK}"

    def lines(self, picture: Picture) -> list[str]:
        """All rows of cells, without trailing blanks. A cell no glyph fits gives U+FFFD."""
        rows, columns = picture.height // CELL_HEIGHT, picture.width // CELL_WIDTH
        cells = picture.pixels[: rows * CELL_HEIGHT, : columns * CELL_WIDTH]
        cells = cells.reshape(rows, CELL_HEIGHT, columns, CELL_WIDTH, 3)
        return ["".join(self._cell(cells[row, :, column]) for column in range(columns)).rstrip() for row in range(rows)]

    def _cell(self, cell: numpy.ndarray) -> str:
        background = cell[0, CELL_WIDTH - 1]
        lit = (cell != background).any(axis=2)
        if not lit.any():
            return " "
        # One foreground colour: anything else is no text.
        colours = cell[lit]
        if (colours != colours[0]).any():
            return UNKNOWN
        shape = numpy.packbits(lit, axis=1).tobytes()
        for candidate in (shape, shape[:-CURSOR_ROWS] + bytes(CURSOR_ROWS)):
            if candidate in self._codes:
                return self._codes[candidate]
        inverse = numpy.packbits(~lit, axis=1).tobytes()
        return self._codes.get(inverse, UNKNOWN)
