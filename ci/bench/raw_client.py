"""A client that draws nothing: it takes what a server sends, and knows when the last byte of a drawing has come."""

import hashlib
import os
import select
import socket
import struct
import threading
import time

# Channels, and the messages that are looked at.
MAIN, DISPLAY = 1, 2
SET_ACK, PING, MAIN_INIT, COPY_BITS, SURFACE_CREATE, MARK = 3, 4, 103, 104, 314, 102
DRAWS = (COPY_BITS, *range(302, 314), 318)
ACK_SYNC, ACK, PONG, DISPLAY_INIT = 1, 2, 3, 101
# Choice of an authentication, mini headers; of codecs for video, of which it has none; monitors, composites, A8, LZ4.
COMMON_CAPS, DISPLAY_CAPS = 1 << 0 | 1 << 1 | 1 << 3, 1 << 8 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5
# Pixels of the cache and of the dictionary's window, as spice-gtk has them for a device with 64 MiB.
CACHE, WINDOW = 20 << 20, 8 << 20
BUFFER = 32 << 20
PATIENCE = 60.0
# The public key of the link reply is a SubjectPublicKeyInfo; the modulus is there.
MODULUS, MODULUS_END, EXPONENT = 29, 157, 65537


class ClientError(Exception):
    """The server does not do what it should, or not in time."""


def _mask(seed: bytes, length: int) -> bytes:
    """MGF1 with SHA-1."""
    blocks = (hashlib.sha1(seed + number.to_bytes(4, "big")).digest() for number in range((length + 19) // 20))
    return b"".join(blocks)[:length]


def _mixed(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other))


def _ticket(key: bytes) -> bytes:
    """An empty password, RSAES-OAEP with SHA-1."""
    message = b"\0"
    block = hashlib.sha1(b"").digest() + bytes(128 - 2 * 20 - 2 - len(message)) + b"\1" + message
    seed = os.urandom(20)
    block = _mixed(block, _mask(seed, len(block)))
    seed = _mixed(seed, _mask(block, 20))
    number = int.from_bytes(seed + block, "big")
    modulus = int.from_bytes(key[MODULUS:MODULUS_END], "big")
    return pow(number, EXPONENT, modulus).to_bytes(128, "big")


class Channel:
    """A connection after the link stage. Pings and acknowledgements are answered by whoever reads."""

    def __init__(self, port: int, kind: int, session: int, receive_buffer: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(BUFFER))
        self._begin = self._end = 0
        self._window = self._taken = 0
        # When the last bytes came, by the monotonic clock in nanoseconds, and how many did.
        self.last_ns = self.bytes = 0
        self._link(kind, session)

    def _link(self, kind: int, session: int) -> None:
        caps = [COMMON_CAPS, DISPLAY_CAPS if kind == DISPLAY else 0]
        body = struct.pack("<IBBIII2I", session, kind, 0, 1, 1, 18, *caps)
        self._socket.sendall(struct.pack("<4sIII", b"REDQ", 2, 2, len(body)) + body)
        _, _, _, size = struct.unpack("<4sIII", self._exactly(16))
        reply = self._exactly(size)
        (error,) = struct.unpack_from("<I", reply)
        if error:
            raise ClientError(f"the link is refused: {error}")
        self._socket.sendall(struct.pack("<I", 1) + _ticket(reply[4:166]))
        (error,) = struct.unpack("<I", self._exactly(4))
        if error:
            raise ClientError(f"the ticket is refused: {error}")

    def close(self) -> None:
        self._socket.close()

    def send(self, kind: int, body: bytes = b"") -> None:
        self._socket.sendall(struct.pack("<HI", kind, len(body)) + body)

    def fill(self, most: int, seconds: float) -> bool:
        """Takes what has come, at most so many bytes, after waiting at most so long; whether there was something."""
        if self._begin == self._end:
            self._begin = self._end = 0
        elif BUFFER - self._end < most:
            rest = bytes(self._buffer[self._begin : self._end])
            self._buffer[: len(rest)] = rest
            self._begin, self._end = 0, len(rest)
        if not select.select([self._socket], [], [], max(seconds, 0))[0]:
            return False
        count = self._socket.recv_into(self._buffer[self._end : self._end + most])
        if count == 0:
            raise ClientError("the server has closed the connection")
        self.last_ns = time.monotonic_ns()
        self.bytes += count
        self._end += count
        return True

    def _exactly(self, count: int) -> bytes:
        while self._end - self._begin < count:
            # Of the link stage no byte too many is taken, so that a small receive buffer stays full.
            if not self.fill(count - (self._end - self._begin), PATIENCE):
                raise ClientError("the server is silent")
        taken = bytes(self._buffer[self._begin : self._begin + count])
        self._begin += count
        return taken

    def message(self) -> tuple[int, memoryview] | None:
        """The next message that is here as a whole; what is common to all channels is answered."""
        if self._end - self._begin < 6:
            return None
        kind, size = struct.unpack_from("<HI", self._buffer, self._begin)
        if self._end - self._begin < 6 + size:
            return None
        body = self._buffer[self._begin + 6 : self._begin + 6 + size]
        self._begin += 6 + size
        self._taken += 1
        if kind == SET_ACK:
            generation, self._window = struct.unpack_from("<II", body)
            self._taken = 0
            self.send(ACK_SYNC, struct.pack("<I", generation))
        elif kind == PING:
            self.send(PONG, bytes(body[:12]))
        if self._window and self._taken >= self._window:
            self._taken -= self._window
            self.send(ACK)
        return kind, body


class Client:
    """A main channel, which a thread answers, and a display that its owner reads."""

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self._main = Channel(port, MAIN, 0)
        session = None
        while session is None:
            message = self._main.message()
            if message is None:
                self._main.fill(BUFFER // 2, PATIENCE)
            elif message[0] == MAIN_INIT:
                (session,) = struct.unpack_from("<I", message[1])
        threading.Thread(target=self._answer, daemon=True).start()
        self.display = Channel(port, DISPLAY, session, receive_buffer)
        self.display.send(DISPLAY_INIT, struct.pack("<BqBi", 1, CACHE, 1, WINDOW))

    def _answer(self) -> None:
        try:
            while True:
                if self._main.message() is None:
                    self._main.fill(BUFFER // 2, 3600)
        except (ClientError, OSError, ValueError):
            return

    def close(self) -> None:
        self.display.close()
        self._main.close()

    def settle(self, quiet: float, seconds: float = PATIENCE) -> None:
        """Takes all that comes until nothing has come for `quiet`."""
        limit = time.monotonic() + seconds
        while self.display.fill(1 << 20, quiet):
            while self.display.message() is not None:
                pass
            if time.monotonic() > limit:
                raise ClientError("the server does not come to rest")

    def drawn(self, left: int, top: int, width: int, height: int, seconds: float = PATIENCE) -> int | None:
        """When the last byte came of what draws all of this part of the screen, in nanoseconds; `None` for never."""
        limit = time.monotonic() + seconds
        missing = width * height
        while True:
            message = self.display.message()
            if message is None:
                if not self.display.fill(1 << 20, limit - time.monotonic()):
                    return None
                continue
            kind, body = message
            if kind not in DRAWS:
                continue
            surface, *box = struct.unpack_from("<I4i", body)
            if surface == 0:
                across = min(box[3], left + width) - max(box[1], left)
                down = min(box[2], top + height) - max(box[0], top)
                missing -= max(across, 0) * max(down, 0)
            if missing <= 0:
                return self.display.last_ns


class Trickle:
    """A client that has read the first picture, and then reads 1000 bytes a second. To be used with `with`."""

    def __init__(self, port: int) -> None:
        self._port, self._ended = port, threading.Event()

    def __enter__(self):
        self.client = Client(self._port, receive_buffer=4096)
        self.client.settle(1)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()
        self.client.close()

    def _read(self) -> None:
        try:
            while not self._ended.wait(1):
                self.client.display.fill(1000, 0)
                while self.client.display.message() is not None:
                    pass
        except (ClientError, OSError):
            return
