"""A file server for pages: their files, and a recorded stream of video to every client that links, by WebSocket."""

import asyncio
import contextlib
import http
import mimetypes
import struct
import threading
import time
from pathlib import Path

import numpy as np
import websockets
from harness import spice
from PIL import Image

from bench import images

WIDTH, HEIGHT = images.WIDTH, images.HEIGHT
RATE = 60
# Frames of the recording, which is played again and again.
FRAMES = 120
QUALITY = 80
# Bits of a frame's number, from 1 on, each a square of so many pixels in the left upper corner, black or white.
BITS, SQUARE = 16, 32
# How much later than it was sent a frame is to be shown, in ms, as the reference has it when there is no sound.
LATENCY = 400
MAIN, DISPLAY, INPUTS, CURSOR = 1, 2, 3, 4
# Of both sides: the way to authenticate is chosen, a ticket, short headers.
COMMON_CAPS = 0b1011
MAIN_INIT, CHANNELS_LIST, ATTACH_CHANNELS = 103, 104, 104
DISPLAY_MARK, STREAM_CREATE, STREAM_DATA, SURFACE_CREATE = 102, 122, 123, 314
INPUTS_INIT = CURSOR_INIT = 101
MJPEG, XRGB = 1, 32


def record(folder: Path) -> list[bytes]:
    """The frames: a window that goes over a photo-like picture, a quarter larger, with its number; made once."""
    wide = np.ascontiguousarray(images.photo()[:, :, ::-1])
    # Mirrored at the edges, so that there is enough of it.
    wide = np.concatenate([wide, wide[:, ::-1]], 1)
    wide = np.concatenate([wide, wide[::-1]], 0)
    frames = []
    for number in range(FRAMES):
        path = folder / f"{number}.jpg"
        if not path.exists():
            left, top = number * 8, number * 4
            frame = wide[top : top + HEIGHT, left : left + WIDTH].copy()
            for bit in range(BITS):
                frame[:SQUARE, bit * SQUARE : (bit + 1) * SQUARE] = 255 * (number + 1 >> bit & 1)
            Image.fromarray(frame.astype(np.uint8)).save(path, quality=QUALITY, subsampling=2)
        frames.append(path.read_bytes())
    return frames


def _key() -> bytes:
    """A public key of 1024 bits as the link has it: the product of nothing anybody knows, for no ticket is read."""
    modulus = b"\xd5" + b"\x5a" * 126 + b"\x71"
    number = b"\x02\x81\x81\x00" + modulus + b"\x02\x03\x01\x00\x01"
    sequence = b"\x30\x81" + bytes([len(number)]) + number
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    text = b"\x03\x81" + bytes([len(sequence) + 1]) + b"\x00" + sequence
    return b"\x30\x81" + bytes([len(algorithm) + len(text)]) + algorithm + text


class Player:
    """The server. To be used with `with`; `port` is where it listens on 127.0.0.1."""

    def __init__(self, frames: list[bytes], folders: dict[str, Path], observer: bytes) -> None:
        """`folders`: where the files of each page are, by the first part of their address. `observer` is put before
        their workers while `looks` is set."""
        self._frames, self._folders, self._observer = frames, folders, observer
        self.looks = False
        # Of the session that was begun last.
        self.sent = 0
        self.began = self.until = 0.0

    def __enter__(self) -> "Player":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_error) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(spice.SECONDS)

    async def _listen(self):
        return await websockets.serve(
            self._link, "127.0.0.1", 0, process_request=self._file, subprotocols=["binary"], compression=None, max_size=None
        )  # fmt: skip

    async def _close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _file(self, address: str, headers):
        """Answers what is no WebSocket."""
        if headers.get("Upgrade", "").lower() == "websocket":
            return None
        page, _, name = address.partition("?")[0].lstrip("/").partition("/")
        if name == "vm.json":
            return http.HTTPStatus.OK, {"Content-Type": "application/json"}, b'{"name": "stream"}'
        path = self._folders[page] / (name or "index.html") if page in self._folders else None
        if path is None or not path.is_file():
            return http.HTTPStatus.NOT_FOUND, {}, b""
        body = path.read_bytes()
        if self.looks and name == "worker.js":
            body = self._observer + body
        kind = mimetypes.guess_type(name or "index.html")[0] or "application/octet-stream"
        return http.HTTPStatus.OK, {"Content-Type": kind, "Cache-Control": "no-store"}, body

    async def _link(self, socket) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            client = Link(socket)
            kind = await client.accept()
            await {MAIN: self._main, DISPLAY: self._display, INPUTS: self._inputs, CURSOR: self._cursor}[kind](client)

    async def _main(self, client: "Link") -> None:
        await client.say(MAIN_INIT, struct.pack("<8I", 1, 1, 3, 2, 0, 0, media_time(), 0))
        while await client.hear() != ATTACH_CHANNELS:
            pass
        channels = ((DISPLAY, 0), (INPUTS, 0), (CURSOR, 0))
        await client.say(CHANNELS_LIST, struct.pack("<I", len(channels)) + b"".join(map(bytes, channels)))
        await client.listen()

    async def _inputs(self, client: "Link") -> None:
        await client.say(INPUTS_INIT, struct.pack("<H", 0))
        await client.listen()

    async def _cursor(self, client: "Link") -> None:
        # In the corner, unseen, without a trail and a shape.
        await client.say(CURSOR_INIT, struct.pack("<hhHHBH", 0, 0, 0, 0, 0, 1))
        await client.listen()

    async def _display(self, client: "Link") -> None:
        heard = asyncio.ensure_future(client.listen())
        await client.say(SURFACE_CREATE, struct.pack("<5I", 0, WIDTH, HEIGHT, XRGB, 1))
        await client.say(DISPLAY_MARK)
        sizes = (WIDTH, HEIGHT, WIDTH, HEIGHT)
        # Of surface 0 with number 0, top down, of MJPEG, all over it, without a clip.
        stream = struct.pack("<IIBBQ4I4iB", 0, 0, 1, MJPEG, 0, *sizes, 0, 0, HEIGHT, WIDTH, 0)
        await client.say(STREAM_CREATE, stream)
        self.sent = 0
        self.began = time.monotonic()
        while not heard.done():
            left = self.began + self.sent / RATE - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
            data = self._frames[self.sent % FRAMES]
            await client.say(STREAM_DATA, struct.pack("<III", 0, media_time() + LATENCY, len(data)) + data)
            self.sent += 1
            self.until = time.monotonic()


def media_time() -> int:
    """In ms."""
    return int(time.monotonic() * 1000) & 0xFFFFFFFF


class Link:
    """A channel of a client."""

    def __init__(self, socket) -> None:
        self._socket = socket
        self._read = b""

    async def _receive(self, count: int) -> bytes:
        while len(self._read) < count:
            self._read += await self._socket.recv()
        data, self._read = self._read[:count], self._read[count:]
        return data

    async def accept(self) -> int:
        """The link stage with a ticket that may be anything; the kind of the channel."""
        _, _, _, size = struct.unpack("<4sIII", await self._receive(16))
        kind = (await self._receive(size))[4]
        caps = struct.pack("<II", COMMON_CAPS, 0)
        reply = struct.pack("<I", spice.OK) + _key() + struct.pack("<III", 1, 1, 178) + caps
        await self._socket.send(spice.MAGIC + struct.pack("<III", 2, 2, len(reply)) + reply)
        await self._receive(4 + spice.TICKET_BYTES)
        await self._socket.send(struct.pack("<I", spice.OK))
        return kind

    async def say(self, message: int, body: bytes = b"") -> None:
        await self._socket.send(struct.pack("<HI", message, len(body)) + body)

    async def hear(self) -> int:
        """The type of the next message."""
        message, size = struct.unpack("<HI", await self._receive(6))
        await self._receive(size)
        return message

    async def listen(self) -> None:
        """Until it leaves."""
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await self.hear()
