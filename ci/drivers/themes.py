"""Pointers from themes of Debian's packages in Xorg: what the client gets is what is in the theme's file."""

import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy
from harness.vm import Failed, expect

from .session import SECONDS, Session

FOLDER = "/usr/share/icons"
# Of libXcursor's files: a picture in their table of contents.
IMAGE = 0xFFFD0002
# Theme, the size asked for, pointer, and the size in pixels of the largest shape that the theme has for it.
POINTERS = [
    ("redglass", 24, "left_ptr", (32, 32)),
    ("redglass", 32, "watch", (48, 48)),
    ("redglass", 64, "left_ptr", (64, 64)),
    ("redglass", 64, "watch", (64, 64)),
    ("DMZ-White", 24, "xterm", (24, 24)),
    ("DMZ-White", 32, "left_ptr", (32, 32)),
    ("DMZ-Black", 48, "left_ptr", (48, 48)),
    ("DMZ-White", 48, "watch", (48, 48)),
]
# Of an animated pointer, so many pictures have to be seen.
ENOUGH = 4
# Where the pointer is taken: over the terminal with a theme, and over the background.
OVER, BESIDE = ("720 540", "725 545"), "950 300"


@dataclass(frozen=True)
class Shape:
    """Width, height, hot spot, and pixels (B, G, R, A, premultiplied)."""

    size: tuple[int, int]
    hot: tuple[int, int]
    pixels: bytes


def shapes_of(data: bytes, wanted: int) -> set[Shape]:
    """The pictures of a pointer in the nominal size that is nearest to the wanted one."""
    magic, head, _version, count = struct.unpack_from("<4s3I", data)
    expect(magic == b"Xcur", f"a theme's file begins with {magic!r}")
    contents = [struct.unpack_from("<3I", data, head + 12 * number) for number in range(count)]
    images = [(nominal, place) for kind, nominal, place in contents if kind == IMAGE]
    nearest = min({nominal for nominal, _place in images}, key=lambda nominal: abs(nominal - wanted))
    found = set()
    for nominal, place in images:
        if nominal == nearest:
            head, _kind, _nominal, _version, *numbers, _delay = struct.unpack_from("<9I", data, place)
            width, height, *hot = numbers
            found.add(Shape((width, height), tuple(hot), data[place + head :][: 4 * width * height]))
    return found


def file_of(disk: str, path: str) -> bytes:
    """A file on an ext4 image."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "file"
        command = ["/sbin/debugfs", "-R", f"dump {path} {out}", disk]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not out.exists() or not out.stat().st_size:
            raise Failed(f"{path} cannot be read from the image: {done.stderr}")
        return out.read_bytes()


class Themes(Session):
    """The desktop with Xorg; its disk has the themes."""

    def themes(self) -> None:
        for theme, wanted, name, size in POINTERS:
            shapes = shapes_of(file_of(self.disk, f"{FOLDER}/{theme}/cursors/{name}"), wanted)
            largest = max(shape.size for shape in shapes)
            expect(largest == size, f"{name} of {theme} for {wanted} is of {largest}, not {size}")
            self._themed(theme, wanted, name, shapes)

    def _themed(self, theme: str, wanted: int, name: str, shapes: set[Shape]) -> None:
        """A terminal with a pointer of the theme: every shape at the client is one of the theme's."""
        what = f"{name} of {theme} for {wanted}"
        self.ask(
            f"XCURSOR_SIZE={wanted} xterm -geometry 20x5+700+500 -xrm '*cursorTheme: {theme}'"
            f" -xrm '*pointerShape: {name}' -e sh -c 'echo there >/dev/ttyS0; cat' & themed=$!",
            r"^there$",
        )
        self.ask("; ".join(f"xdotool mousemove {place}" for place in OVER) + "; echo over", r"^over$")
        seen: set[Shape] = set()
        limit = time.monotonic() + SECONDS
        while len(seen) < min(ENOUGH, len(shapes)):
            shape = self._shape(shapes)
            if shape is not None:
                seen.add(shape)
            else:
                expect(not seen, f"{what}: the client has a shape that is not in the theme")
            expect(time.monotonic() < limit, f"{what}: {len(seen)} of {len(shapes)} shapes in {SECONDS} s")
        said = self.ask("screen pointer", r"^screen: pointer (\d+)x(\d+)\+(\d+)\+(\d+) ")
        known = {(*shape.size, *shape.hot) for shape in shapes}
        expect(tuple(map(int, said.groups())) in known, f"{what}: X says {said[0]}, the theme {known}")
        self.ask(f"kill $themed; xdotool mousemove {BESIDE}; echo beside", r"^beside$")
        self.shapes += len(seen)

    def _shape(self, shapes: set[Shape]) -> Shape | None:
        """Which of the theme's shapes the client has now, the rest of its picture being transparent."""
        had = self.client.step("cursor-shape")["shape"]
        across, down = had["size"]
        rgba = numpy.frombuffer(bytes.fromhex(had["rgba"]), numpy.uint8).reshape(down, across, 4)
        for shape in shapes:
            width, height = shape.size
            if width > across or height > down or tuple(had["hot"]) != shape.hot:
                continue
            rest = rgba.copy()
            rest[:height, :width] = 0
            if not rest.any() and rgba[:height, :width, [2, 1, 0, 3]].tobytes() == shape.pixels:
                return shape
        return None
