"""Connections that get as far as a stage of SPICE's handshake, and no further."""

import socket
import ssl
import struct
from collections.abc import Callable

from . import spice, web
from .vm import expect

# Selection of the mechanism, tickets, short headers.
CAPS = 0b1011
MESSAGE = spice.message(caps=CAPS)
MECHANISM = struct.pack("<I", web.AUTH_SPICE)
REQUEST = b"".join(
    [b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"]
    + [f"{name}: {value}\r\n".encode() for name, value in web.UPGRADE.items()]
    + [b"\r\n"]
)
# Not masked by anything: of zeros.
FRAME = bytes([0x82, 0x80 | len(MESSAGE)]) + bytes(4) + MESSAGE


def hello() -> bytes:
    """The first message of a TLS client."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


HELLO = hello()


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        expect(more, f"the server closed after {len(data)} bytes of {count}")
        data += more
    return data


def sends(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


def replied(connection: socket.socket) -> bytes:
    """Up to the link reply; the key in it."""
    connection.sendall(MESSAGE)
    (size,) = struct.unpack_from("<I", exactly(connection, 16), 12)
    body = exactly(connection, size)
    expect(struct.unpack_from("<I", body)[0] == spice.OK, "the link is refused")
    return body[4:166]


def half_mechanism(connection: socket.socket) -> None:
    replied(connection)
    connection.sendall(half(MECHANISM))


def half_ticket(connection: socket.socket) -> None:
    replied(connection)
    connection.sendall(MECHANISM + bytes(spice.TICKET_BYTES // 2))


def result(connection: socket.socket, ticket: bytes = b"") -> int:
    """The link result for this ticket."""
    connection.sendall(MECHANISM + web.encrypt(replied(connection), ticket + b"\x00"))
    (code,) = struct.unpack("<I", exactly(connection, 4))
    return code


def linked(connection: socket.socket) -> None:
    code = result(connection)
    expect(code == spice.OK, f"the link result is {code}")


def upgraded(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(connection, 1)
    expect(head.startswith(b"HTTP/1.1 101 "), f"the request is answered with {head!r}")


def half_frame(connection: socket.socket) -> None:
    upgraded(connection)
    connection.sendall(half(FRAME))


STAGES = {
    "nothing sent": sends(b""),
    "half a link message": sends(half(MESSAGE)),
    "after the link reply": replied,
    "half a mechanism": half_mechanism,
    "half a ticket": half_ticket,
    "after the result": linked,
    "garbage instead of TLS": sends(b"\x16\x03\x01\xff\xff" + bytes(range(256)) * 4),
    "half a ClientHello": sends(half(HELLO)),
    "half a WebSocket request": sends(half(REQUEST)),
    "after the 101": upgraded,
    "half a frame": half_frame,
}
