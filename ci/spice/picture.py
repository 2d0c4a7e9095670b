"""Pictures as arrays of B, G, R: checksum, files, comparison."""

from dataclasses import dataclass
from pathlib import Path

import numpy
from PIL import Image

FNV_OFFSET = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
MASK = (1 << 64) - 1
# Limits of the search for a picture inside another.
ANCHORS = 4
PLACES = 20000


@dataclass(frozen=True)
class Picture:
    """`pixels` has the shape (height, width, 3), its last axis in the order B, G, R."""

    pixels: numpy.ndarray

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    def checksum(self) -> str:
        """The project's checksum: 64-bit FNV-1a over width, height (u32, little endian) and the pixels, in hex."""
        value = FNV_OFFSET
        head = self.width.to_bytes(4, "little") + self.height.to_bytes(4, "little")
        for byte in head + numpy.ascontiguousarray(self.pixels).tobytes():
            value = ((value ^ byte) * FNV_PRIME) & MASK
        return f"{value:016x}"

    def save(self, path: str) -> None:
        """Writes the picture in the format the file's name ends with (PNG, PPM)."""
        Image.fromarray(numpy.ascontiguousarray(self.pixels[:, :, ::-1]), "RGB").save(path)

    def same(self, other: "Picture") -> bool:
        return self.pixels.shape == other.pixels.shape and bool((self.pixels == other.pixels).all())


def load(path: str | Path) -> Picture:
    """Reads a PNG or PPM file."""
    with Image.open(path) as image:
        return Picture(numpy.array(image.convert("RGB"))[:, :, ::-1])


def from_rows(data: bytes, width: int, height: int, stride: int, bits: int) -> Picture:
    """A picture from rows of 32-bit (B, G, R, unused) or of 16-bit pixels (`bits` 15 for 555, 16 for 565)."""
    rows = numpy.frombuffer(data, numpy.uint8).reshape(height, stride)
    if bits == 32:
        return Picture(rows[:, : width * 4].reshape(height, width, 4)[:, :, :3].copy())
    words = rows[:, : width * 2].copy().view("<u2").astype(numpy.uint16)
    green_bits = 5 if bits == 15 else 6

    def widen(shift: int, count: int) -> numpy.ndarray:
        value = (words >> shift) & ((1 << count) - 1)
        return ((value << (8 - count)) | (value >> (2 * count - 8))).astype(numpy.uint8)

    return Picture(numpy.stack([widen(0, 5), widen(5, green_bits), widen(5 + green_bits, 5)], axis=2))


def compare(one: Picture, other: Picture) -> dict:
    """What differs between two pictures: how many pixels, and the first of them."""
    if one.pixels.shape != other.pixels.shape:
        sizes = [f"{picture.width}x{picture.height}" for picture in (one, other)]
        return {"equal": False, "sizes": sizes}
    different = (one.pixels != other.pixels).any(axis=2)
    count = int(different.sum())
    if count == 0:
        return {"equal": True}
    y, x = (int(value) for value in numpy.argwhere(different)[0])
    first = {"x": x, "y": y, "bgr": [one.pixels[y, x].tolist(), other.pixels[y, x].tolist()]}
    return {"equal": False, "different_pixels": count, "first": first}


def find(part: Picture, whole: Picture) -> dict:
    """Looks for `part` inside `whole`: its place when it is there exactly, else the place with the fewest differences.

    Candidates are found by the rarest pixel values of the part, so that a search stays far below a second.
    """
    if part.width > whole.width or part.height > whole.height:
        return {"found": False, "reason": f"{whole.width}x{whole.height} is smaller than {part.width}x{part.height}"}
    code_part, code_whole = _codes(part), _codes(whole)
    room_y, room_x = whole.height - part.height + 1, whole.width - part.width + 1
    best: dict = {"found": False, "reason": "no pixel value of the part is in the whole"}
    fewest = part.width * part.height + 1
    values, counts = numpy.unique(code_part, return_counts=True)
    # Several, because the rarest pixel may be the wrong one.
    for anchor in values[numpy.argsort(counts)][:ANCHORS]:
        anchor_y, anchor_x = numpy.argwhere(code_part == anchor)[0]
        area = code_whole[anchor_y : anchor_y + room_y, anchor_x : anchor_x + room_x]
        for y, x in numpy.argwhere(area == anchor)[:PLACES]:
            window = code_whole[y : y + part.height, x : x + part.width]
            # A few rows tell most wrong places apart cheaply.
            rows = slice(0, part.height, max(1, part.height // 8))
            if (window[rows] != code_part[rows]).sum() >= fewest:
                continue
            different = int((window != code_part).sum())
            if different < fewest:
                fewest = different
                best = {"found": different == 0, "x": int(x), "y": int(y), "different_pixels": different}
            if different == 0:
                return best
    return best


def _codes(picture: Picture) -> numpy.ndarray:
    wide = picture.pixels.astype(numpy.uint32)
    return wide[:, :, 0] | (wide[:, :, 1] << 8) | (wide[:, :, 2] << 16)
