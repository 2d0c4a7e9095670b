"""Messages of a server, one of each type at least, that are right in themselves: those of the VM, and what it never says."""

import struct
from collections.abc import Iterator

from .relay import CURSOR, DISPLAY, INPUTS, MAIN, PLAYBACK

# Whatever runs, asks for something, or makes an element, where text is taken for markup.
MARKUP = (
    "<img src=/hostile.png onerror=alert(1)>", "<script>alert(2)</script>", "<svg onload=alert(3)>",
    "\"><iframe srcdoc='<script>alert(4)</script>'>", "</textarea></title><img src=/hostile.png>",
    "javascript:alert(5)", "<style>@import '/hostile.css'</style>", "<a href='javascript:alert(6)' onclick=alert(7)>x</a>",
)  # fmt: skip
# Numbers that break what is not careful.
EDGES = (0, 1, 2, 63, 64, 255, 256, 1023, 1024, 16384, 16385, 65535, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
STREAM = 60
SURFACE = 700

Message = tuple[int, int, bytes]


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *(value & 0xFFFFFFFF for value in values))


def text(said: str) -> bytes:
    data = said.encode() + b"\0"
    return words(len(data)) + data


def notify(said: str, severity: int = 2) -> bytes:
    data = said.encode()
    return struct.pack("<QIIII", 0, severity, 1, 0, len(data)) + data


def agent(kind: int, data: bytes) -> bytes:
    """A message of the guest's agent, which fits into one of the server."""
    return struct.pack("<IIQI", 1, kind, 0, len(data)) + data


def announce() -> bytes:
    """An agent that shares its clipboard, by selections, and takes files and monitors."""
    return agent(6, words(0, 1 << 1 | 1 << 5 | 1 << 6))


def clipboard(said: str) -> bytes:
    return agent(4, words(0, 1) + said.encode())


def clip(*rectangles: tuple[int, int, int, int]) -> bytes:
    if not rectangles:
        return b"\0"
    return b"\1" + words(len(rectangles)) + b"".join(words(*rectangle) for rectangle in rectangles)


def stream_create(number: int = STREAM, codec: int = 1, width: int = 64, height: int = 48, surface: int = 0) -> bytes:
    place = words(0, 0, height, width)
    return words(surface, number) + bytes((1, codec)) + bytes(8) + words(width, height, width, height) + place + clip()


def monitors(*heads: tuple[int, int, int, int, int, int]) -> bytes:
    """Heads with number, surface, width, height, x and y."""
    return struct.pack("<HH", len(heads), 16) + b"".join(words(*head, 0) for head in heads)


def shape(width: int, height: int, number: int = 5, flags: int = 2) -> bytes:
    """A pointer in ARGB."""
    return struct.pack("<HQBHHHH", flags, number, 0, width, height, 0, 0) + bytes((0, 80, 160, 255)) * (width * height)


def fill(surface: int, left: int, top: int, right: int, bottom: int) -> bytes:
    """DRAW_FILL with a colour."""
    return words(surface, top, left, bottom, right) + clip() + b"\1" + words(0x336699) + struct.pack("<HBiiI", 8, 0, 0, 0, 0)


def image(kind: int, width: int, height: int, data: bytes) -> bytes:
    """A descriptor and what belongs to it."""
    return struct.pack("<QBBII", 9, kind, 0, width, height) + data


def copy(picture: bytes, width: int, height: int) -> bytes:
    """DRAW_COPY of an image that follows."""
    head = words(0, 0, 0, height, width) + clip()
    source = len(head) + 4 + 16 + 2 + 1 + 13
    return head + words(source, 0, 0, height, width) + struct.pack("<HBBiiI", 8, 0, 0, 0, 0, 0) + picture


def bitmap(width: int, height: int, data: bytes | None = None) -> bytes:
    """An image of 32 bits a pixel that is not compressed."""
    pixels = bytes(width * height * 4) if data is None else data
    return image(0, width, height, struct.pack("<BBIIII", 8, 4, width, height, width * 4, 0) + pixels)


def compressed(kind: int, width: int, height: int, data: bytes) -> bytes:
    return image(kind, width, height, words(len(data)) + data)


def quic(width: int, height: int) -> bytes:
    return compressed(1, width, height, b"QUIC" + words(0, 4, width, height) + bytes(64))


def lz(width: int, height: int, kind: int = 100) -> bytes:
    numbers = (0x20205A4C, 0x00010001, 8, width, height, width * 4, 1)
    return compressed(kind, width, height, struct.pack(">7I", *numbers) + bytes(64))


def messages() -> Iterator[tuple[str, list[Message], Message]]:
    """What is said before a message, and that one, with a name."""
    yield from _main()
    yield from _display()
    yield from _others()


def _main() -> Iterator[tuple[str, list[Message], Message]]:
    wait = bytes((2,)) + b"".join(struct.pack("<BBQ", DISPLAY, number, 5) for number in (7, 8))
    part = struct.pack("<HIIQ", 4, 12, 1, 0)
    for kind, body in {
        3: words(1, 100), 4: bytes(12), 5: wait, 6: struct.pack("<QI", 0, 1), 7: notify(MARKUP[0]),
        8: struct.pack("<HII", 2, 10, 28) + part * 2,
        104: words(5) + bytes((2, 0, 2, 1, 3, 0, 4, 0, 5, 0)), 105: struct.pack("<HH", 3, 2), 106: words(77),
        113: text(MARKUP[1]), 114: bytes(range(16)), 115: words(9), 114 + 900: b"x",
    }.items():  # fmt: skip
        yield f"main {kind}", [], (MAIN, kind, body)
    yield "main 103", [], (MAIN, 103, words(1, 1, 3, 2, 1, 10, 5, 5))
    there = [(MAIN, 115, words(10)), (MAIN, 109, announce())]
    for kind, body in {
        3: words(1, 0), 4: clipboard(MARKUP[0])[20:], 6: announce()[20:], 7: words(0, 1, 2), 8: words(0, 1), 9: words(0),
        11: words(1, 3), 14: words(500),
    }.items():  # fmt: skip
        yield f"agent {kind}", there, (MAIN, 109, agent(kind, body))
    yield "main 108", there, (MAIN, 108, words(0))
    yield "main 110", there, (MAIN, 110, words(5))


def _display() -> Iterator[tuple[str, list[Message], Message]]:
    made = [(DISPLAY, 314, words(SURFACE, 64, 48, 32, 0))]
    streams = [(DISPLAY, 125, words(STREAM)), (DISPLAY, 122, stream_create())]
    frame = b"\xff\xd8" + bytes(60)
    for before, kind, body in [
        ([], 101, words(640, 480, 32)), ([], 102, b""), ([], 103, b""),
        (made, 104, words(SURFACE, 0, 0, 9, 9) + clip() + words(1, 1)),
        ([], 105, struct.pack("<H", 2) + struct.pack("<BQ", 1, 7) * 2), ([], 106, b"\0"), ([], 107, bytes(8)), ([], 108, b""),
        ([], 122, stream_create(STREAM - 1)), (streams, 123, words(STREAM, 0, len(frame)) + frame),
        (streams, 316, words(STREAM, 0, 64, 48, 0, 0, 48, 64, len(frame)) + frame),
        (streams, 124, words(STREAM) + clip((0, 0, 5, 5), (1, 1, 9, 9))), (streams, 125, words(STREAM)),
        (streams, 126, b""), (streams, 319, words(STREAM, 1, 5, 1000)),
        (made, 302, fill(SURFACE, 1, 1, 40, 30)), ([], 304, copy(bitmap(8, 8), 8, 8)), ([], 304, copy(quic(64, 48), 64, 48)),
        ([], 304, copy(lz(64, 48), 64, 48)), ([], 304, copy(lz(64, 48, 102), 64, 48)),
        ([], 314, words(SURFACE + 1, 32, 32, 96, 0)), (made, 315, words(SURFACE)),
        ([], 317, monitors((0, 0, 300, 200, 0, 0), (1, 0, 300, 200, 300, 0))),
    ]:  # fmt: skip
        yield f"display {kind}", before, (DISPLAY, kind, body)


def _others() -> Iterator[tuple[str, list[Message], Message]]:
    place = struct.pack("<hh", 5, 6)
    for kind, body in {
        101: place + words(0) + b"\1" + shape(16, 16), 102: b"", 103: place + b"\1" + shape(20, 10), 104: place, 105: b"",
        106: words(5), 107: bytes(8), 108: b"",
    }.items():  # fmt: skip
        yield f"cursor {kind}", [], (CURSOR, kind, body)
    for kind, body in {101: bytes(2), 102: bytes((7, 0)), 111: b""}.items():
        yield f"inputs {kind}", [], (INPUTS, kind, body)
    start = [(PLAYBACK, 102, words(0) + b"\1\0"), (PLAYBACK, 103, struct.pack("<IHII", 2, 1, 48000, 0))]
    for kind, body in {
        101: words(0) + bytes(range(200)), 102: words(0) + b"\3\0", 103: start[1][2], 104: b"", 105: b"\2" + b"\x55" * 4,
        106: b"\1",
    }.items():  # fmt: skip
        yield f"playback {kind}", start, (PLAYBACK, kind, body)
