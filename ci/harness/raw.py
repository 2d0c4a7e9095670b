"""Linked channels by hand: over TCP, TLS and WebSocket, and left in the ways a proper client never would."""

import socket
import ssl
import struct

from . import handshake, spice, web
from .vm import SECONDS, expect

DISPLAY, INPUTS, PORT = 2, 3, 10
# Messages to the server.
DISCONNECTING, CLIENT_INIT, RESUME = 6, 101, 200
ATTACH_CHANNELS, MOUSE_MODE_REQUEST = 104, 105
KEY_DOWN, PORT_DATA = 101, 101
# Messages from it.
CHANNELS_LIST, PORT_INIT, PORT_EVENT = 104, 201, 202
OPENED = 0
# Of the main and display channels: this client can come back.
CAN_RESUME = 1 << 32
# Caches of 20 Mi pixels and an 8 Mi pixel dictionary, number 1 each.
DISPLAY_INIT = struct.pack("<BqBi", 1, 20 << 20, 1, 8 << 20)
HEADER = struct.Struct("<HI")
WAYS = ["plain", "TLS", "WebSocket", "WebSocket in TLS"]
# Payloads of frames longer than this have their length behind the header.
SHORT_FRAME = 125


class Channel:
    """A connection on its way to be a channel. To be used with `with`."""

    def __init__(self, port: str, way: str, context: ssl.SSLContext, address: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(("127.0.0.1", int(port)), SECONDS, source_address=(address, 0))
        self._frames = "WebSocket" in way
        # Of the frame that is being read.
        self._left = 0
        try:
            if "TLS" in way:
                self._socket = context.wrap_socket(self._socket, server_hostname="127.0.0.1")
            if self._frames:
                handshake.upgraded(self._socket)
        except BaseException:
            self._socket.close()
            raise

    def send(self, data: bytes) -> None:
        if self._frames:
            short = len(data) <= SHORT_FRAME
            length = bytes([0x80 | len(data)]) if short else struct.pack(">BH", 0xFE, len(data))
            # Masked with zeros.
            data = b"\x82" + length + bytes(4) + data
        self._socket.sendall(data)

    def receive(self, count: int) -> bytes:
        if not self._frames:
            return handshake.exactly(self._socket, count)
        data = b""
        while len(data) < count:
            while not self._left:
                self._left = self._frame()
            part = handshake.exactly(self._socket, min(self._left, count - len(data)))
            self._left -= len(part)
            data += part
        return data

    def _frame(self) -> int:
        """The length of the next frame."""
        first, size = handshake.exactly(self._socket, 2)
        if size == 126:
            (size,) = struct.unpack(">H", handshake.exactly(self._socket, 2))
        elif size == 127:
            (size,) = struct.unpack(">Q", handshake.exactly(self._socket, 8))
        expect(first & 15 in (0, 2), f"a frame with opcode {first & 15}")
        return size

    def link(self, kind: int, number: int, ticket: str, session: int = 0, caps: int = 0) -> int:
        """The code of the link error, or OK. `caps` are the channel's."""
        self.send(
            spice.message(channel=kind, number=number, session=session, caps=handshake.CAPS, channel_caps=caps)
        )
        (size,) = struct.unpack_from("<I", self.receive(16), 12)
        reply = self.receive(size)
        (code,) = struct.unpack_from("<I", reply)
        if code != spice.OK:
            return code
        self.send(handshake.MECHANISM + web.encrypt(reply[4:166], ticket.encode() + b"\x00"))
        (code,) = struct.unpack("<I", self.receive(4))
        return code

    def say(self, message: int, body: bytes = b"") -> None:
        self.send(HEADER.pack(message, len(body)) + body)

    def hear(self, wanted: int | None = None) -> bytes:
        """The body of the next message, or of the next that is `wanted`."""
        while True:
            message, size = HEADER.unpack(self.receive(HEADER.size))
            body = self.receive(size)
            if wanted in (None, message):
                return body

    def drop(self, reset: bool) -> None:
        """Hangs up, if it has not yet, with a reset or not."""
        if reset and self._socket.fileno() >= 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def __enter__(self) -> "Channel":
        return self

    def __exit__(self, *_error) -> None:
        self._socket.close()


def session(main: Channel) -> int:
    """The session's number, which INIT says on a main channel just linked."""
    return struct.unpack_from("<I", main.hear(web.MAIN_INIT))[0]


def channels(main: Channel) -> list[tuple[int, int]]:
    """Kind and number of all channels there are."""
    main.say(ATTACH_CHANNELS)
    listed = main.hear(CHANNELS_LIST)
    return [(listed[at], listed[at + 1]) for at in range(4, len(listed), 2)]


def is_open(port_init: bytes) -> bool:
    """Whether PORT_INIT says that somebody is at the port's other end."""
    # Behind the length of the name and where it is.
    return port_init[8] != 0
