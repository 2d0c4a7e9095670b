"""The link stage of SPICE by hand, for what no proper client would send."""

import select
import socket
import struct
import time

from .vm import SECONDS, expect

MAGIC = b"REDQ"
MAIN = 1
# Link error codes.
OK = 0
INVALID_MAGIC = 2
INVALID_DATA = 3
VERSION_MISMATCH = 4
PERMISSION_DENIED = 7
BAD_CONNECTION_ID = 8
CHANNEL_NOT_AVAILABLE = 9
TICKET_BYTES = 128


def connect(port: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(port)), SECONDS)
    connection.setblocking(False)
    return connection


def message(
    magic: bytes = MAGIC, major: int = 2, size: int | None = None, channel: int = MAIN, offset: int = 18,
    caps: int = 0, session: int = 0, number: int = 0, channel_caps: int = 0,
) -> bytes:  # fmt: skip
    """A link message that says how it continues; with one word of common capabilities, and as many as the channel's need."""
    words = [caps, *(channel_caps >> shift & 0xFFFFFFFF for shift in range(0, channel_caps.bit_length(), 32))]
    body = struct.pack("<IBBIII", session, channel, number, 1, len(words) - 1, offset)
    body += struct.pack(f"<{len(words)}I", *words)
    return magic + struct.pack("<III", major, 2, len(body) if size is None else size) + body


def receive(connection: socket.socket, count: int, seconds: float = SECONDS) -> bytes:
    """So many bytes, or fewer when the connection ends or `seconds` pass."""
    limit = time.monotonic() + seconds
    data = b""
    while len(data) < count and (left := limit - time.monotonic()) > 0:
        if select.select([connection], [], [], left)[0]:
            try:
                more = connection.recv(count - len(data))
            except ConnectionResetError:
                break
            if not more:
                break
            data += more
    return data


def answer(connection: socket.socket) -> int:
    """The code in the server's link reply, all of which is read."""
    header = receive(connection, 16)
    expect(len(header) == 16 and header[:4] == MAGIC, f"the link reply starts with {header!r}")
    (size,) = struct.unpack_from("<I", header, 12)
    body = receive(connection, size)
    expect(len(body) == size, f"a link reply of {size} bytes ended after {len(body)}")
    return struct.unpack_from("<I", body)[0]


def closed(connection: socket.socket, seconds: float = SECONDS) -> bool:
    """Whether the server closes without another byte."""
    if not select.select([connection], [], [], seconds)[0]:
        return False
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
