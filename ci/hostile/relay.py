"""A relay between the page in a browser and the page of a VM, which can have any message of the server be another one.

It passes on files by HTTP, and each WebSocket as one of its own to the VM. It follows the link stage and the headers of
messages on both sides. Acknowledgements to the VM are its own, since the page's are about other messages. A playback
channel, which the VM does not have, is the relay's.
"""

import asyncio
import contextlib
import http
import http.client
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import websockets

from harness import spice
from harness.vm import CHECKOUT, SECONDS, Failed

PAGE = CHECKOUT / "spice" / "web" / "page"
MAIN, DISPLAY, INPUTS, CURSOR, PLAYBACK = 1, 2, 3, 4, 5
SET_ACK, PING = 3, 4
CLIENT_ACK_SYNC, CLIENT_ACK, CLIENT_PONG, CLIENT_DISCONNECTING = 1, 2, 3, 6
CHANNELS_LIST = 104
LINK_HEADER = struct.Struct("<4sIII")
# Of the capabilities that both sides have in their first word.
CAP_MINI_HEADER = 1 << 3
# Where the common capabilities are in a link message and in a reply of these programs, header included.
MESSAGE_WORDS, REPLY_WORDS = 16 + 18, 16 + 178
AUTH_BYTES = 4 + spice.TICKET_BYTES
# Of pings that are the relay's own.
MARK = 0x4A5A_5A5A_0000_0000
# What is between a WebSocket and who asks for a file.
DROPPED = ("connection", "content-length", "transfer-encoding", "content-encoding", "keep-alive")


@dataclass
class Spoiled:
    """What is sent in the place of a message: pieces, and what comes then: "go", "stall" or "close"."""

    name: str
    data: bytes = b""
    then: str = "go"
    # Whether headers come where they are looked for after it.
    framed: bool = True
    # Why a WebSocket is closed.
    reason: str = ""


@dataclass
class Rule:
    """The message number `count`, from 0, at a stage ("reply", "result" or "message") of the next links of a channel."""

    channel: int
    stage: str
    count: int
    spoil: Callable[["Line", int, bytes], Spoiled]


@dataclass(eq=False)
class Line:
    """A channel that the page has linked, or is about to."""

    page: websockets.WebSocketServerProtocol
    channel: int = 0
    number: int = 0
    server: websockets.WebSocketClientProtocol | None = None
    mini: bool = True
    linked: bool = False
    is_open: bool = True
    # Messages that the server has sent, and those of them that came through.
    count: int = 0
    serial: int = 0
    stalled: bool = False
    window: int = 0
    unacknowledged: int = 0
    pongs: set[int] = field(default_factory=set)

    def header(self, kind: int, size: int, sub_list: int = 0) -> bytes:
        if self.mini:
            return struct.pack("<HI", kind, size)
        self.serial += 1
        return struct.pack("<QHII", self.serial, kind, size, sub_list)

    def framed(self, kind: int, body: bytes) -> bytes:
        return self.header(kind, len(body)) + body


class Buffer:
    """The stream of bytes in the messages of a WebSocket."""

    def __init__(self, socket: websockets.WebSocketCommonProtocol) -> None:
        self._socket = socket
        self._bytes = bytearray()

    async def take(self, count: int) -> bytes:
        while len(self._bytes) < count:
            self._bytes += await self._socket.recv()
        found = bytes(self._bytes[:count])
        del self._bytes[:count]
        return found


class Relay:
    """In front of the page of a VM at a port. To be used with `with`, by one thread beside its own."""

    def __init__(self, port: str) -> None:
        self.target = int(port)
        # Answers to requests that the VM does not get.
        self.instead: dict[str, bytes] = {}
        # Whether scripts are those of the tree, whatever the VM has.
        self.tree = False
        # Paths that were asked for, with the status of the answer.
        self.asked: list[tuple[str, int]] = []
        self.rule: Rule | None = None
        # What the rule was applied to, what came of that, and the ping behind it.
        self.applied: tuple[Line, Spoiled, int | None] | None = None
        # Whether headers are the short ones.
        self.mini = True
        # Called with each message of the VM.
        self.seen: Callable[[int, int, bytes], None] = lambda *_: None
        self.lines: list[Line] = []
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._reply = b""
        self.failure: Exception | None = None
        # The number of the last ping.
        self.last_ping = 0
        # Whether the page has lost a connection that it did not close.
        self._hurt = False

    def __enter__(self) -> "Relay":
        self._thread.start()
        self._server = self._run(self._serve())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_error) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)

    def _run(self, what):  # noqa: ANN001, ANN202
        try:
            return asyncio.run_coroutine_threadsafe(what, self._loop).result(SECONDS)
        except TimeoutError as error:
            raise Failed("the relay is stuck: the page takes nothing any more") from error

    async def _serve(self) -> websockets.WebSocketServer:
        return await websockets.serve(
            self._page, "127.0.0.1", 0, subprotocols=["binary"], compression=None, max_size=None, ping_interval=None,
            close_timeout=1, process_request=self._file,
        )  # fmt: skip

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        await self._server.wait_closed()

    # What the suite asks for.

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def cut(self) -> None:
        """All connections with the page are gone, and the VM has its ones cut."""
        self._run(self._cut())

    async def _cut(self) -> None:
        self._hurt = True
        for line in self.lines:
            await self._end(line)

    def line(self, channel: int, number: int = 0) -> Line | None:
        """A channel as it is linked now."""
        found = [line for line in self.lines if (line.channel, line.number) == (channel, number)]
        return found[-1] if found and found[-1].is_open and found[-1].linked else None

    def say(self, line: Line, spoiled: Spoiled) -> None:
        """Says something on a channel, between two messages of the VM, as long as it is open."""
        self._run(self._say(line, spoiled))

    def ping(self, line: Line) -> int:
        """Sends a ping; its number, by which the answer is known."""
        return self._run(self._send_ping(line))

    async def _send_ping(self, line: Line) -> int:
        self.last_ping += 1
        await self._say(line, Spoiled("ping", line.framed(PING, struct.pack("<IQ", self.last_ping, MARK | self.last_ping))))
        return self.last_ping

    def wait(self, isSo: Callable[[], bool], seconds: float) -> bool:  # noqa: N803
        """Whether something is so, or comes to be within a time."""
        with self._changed:
            found = self._changed.wait_for(isSo, seconds)
        if self.failure is not None:
            raise self.failure
        return found

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # Files.

    async def _file(self, path: str, headers: websockets.Headers):  # noqa: ANN202
        if headers.get("Upgrade", "").lower() == "websocket":
            return None
        status, kept, body = await self._loop.run_in_executor(None, self._fetch, path, headers.get("Host", ""))
        self.asked.append((path, status))
        return http.HTTPStatus(status), kept, body

    def _fetch(self, path: str, host: str) -> tuple[int, list[tuple[str, str]], bytes]:
        if path in self.instead:
            return 200, [("Content-Type", "application/json"), ("Cache-Control", "no-store")], self.instead[path]
        file = PAGE / path.lstrip("/")
        own = self.tree and file.suffix == ".js" and file.is_file()
        connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=SECONDS)
        try:
            # What it says of one script it says of all.
            connection.request("GET", "/main.js" if own else path, headers={"Host": host})
            answer = connection.getresponse()
            body = answer.read()
            if own:
                body = file.read_bytes()
            return answer.status, [(name, value) for name, value in answer.getheaders() if name.lower() not in DROPPED], body
        finally:
            connection.close()

    # Channels.

    async def _page(self, page: websockets.WebSocketServerProtocol, path: str) -> None:
        line = Line(page)
        self.lines.append(line)
        try:
            await self._link(line, Buffer(page), path)
        except (websockets.ConnectionClosed, OSError):
            pass
        finally:
            await self._end(line)
            self.lines.remove(line)

    async def _link(self, line: Line, page: Buffer, path: str) -> None:
        header = await page.take(LINK_HEADER.size)
        message = bytearray(header + await page.take(LINK_HEADER.unpack(header)[3]))
        _, line.channel, line.number = struct.unpack_from("<IBB", message, LINK_HEADER.size)
        if line.channel == MAIN:
            self._hurt = False
        line.mini = self.mini
        if not self.mini:
            message[MESSAGE_WORDS] &= ~CAP_MINI_HEADER
        if line.channel == PLAYBACK:
            if await self._stage(line, "reply", 0, self._reply):
                await page.take(AUTH_BYTES)
                if await self._stage(line, "result", 0, bytes(4)):
                    self._is_linked(line)
            await self._from_page(line, page)
            return
        # Only the page's own address is let in.
        line.server = await websockets.connect(
            f"ws://127.0.0.1:{self.target}{path}", subprotocols=["binary"], compression=None, max_size=None,
            ping_interval=None, close_timeout=1,
        )  # fmt: skip
        await line.server.send(bytes(message))
        server = asyncio.ensure_future(self._from_server(line, Buffer(line.server)))
        try:
            await self._from_page(line, page)
        finally:
            server.cancel()
            with contextlib.suppress(asyncio.CancelledError, websockets.ConnectionClosed, OSError):
                await server

    def _is_linked(self, line: Line) -> None:
        line.linked = True
        self._tell()

    async def _from_server(self, line: Line, server: Buffer) -> None:
        try:
            header = await server.take(LINK_HEADER.size)
            reply = bytearray(header + await server.take(LINK_HEADER.unpack(header)[3]))
            if not self.mini and len(reply) > REPLY_WORDS:
                reply[REPLY_WORDS] &= ~CAP_MINI_HEADER
            if line.channel == MAIN:
                self._reply = bytes(reply)
            if not await self._stage(line, "reply", 0, bytes(reply)):
                return
            result = await server.take(4)
            if not await self._stage(line, "result", 0, result):
                return
            if result == bytes(4):
                self._is_linked(line)
            while True:
                await self._message(line, server)
        except websockets.ConnectionClosed:
            self._hurt = True
            await self._end(line)

    async def _message(self, line: Line, server: Buffer) -> None:
        if line.mini:
            kind, size = struct.unpack("<HI", await server.take(6))
            sub_list = 0
        else:
            line.serial, kind, size, sub_list = struct.unpack("<QHII", await server.take(18))
            line.serial -= 1
        body = await server.take(size)
        self.seen(line.channel, kind, body)
        await self._acknowledge(line, kind, body)
        if (line.channel, kind) == (MAIN, CHANNELS_LIST):
            # The relay's own one.
            (count,) = struct.unpack_from("<I", body)
            body = struct.pack("<I", count + 1) + body[4:] + bytes((PLAYBACK, 0))
        count, line.count = line.count, line.count + 1
        whole = line.header(kind, len(body), sub_list) + body
        if await self._stage(line, "message", count, whole, kind, body):
            self._tell()

    async def _acknowledge(self, line: Line, kind: int, body: bytes) -> None:
        if kind == SET_ACK:
            generation, line.window = struct.unpack_from("<II", body)
            line.unacknowledged = 0
            await line.server.send(self._framed(line, CLIENT_ACK_SYNC, struct.pack("<I", generation)))
            return
        line.unacknowledged += 1
        if line.window and line.unacknowledged >= line.window:
            line.unacknowledged = 0
            await line.server.send(self._framed(line, CLIENT_ACK, b""))

    @staticmethod
    def _framed(line: Line, kind: int, body: bytes) -> bytes:
        """A message to the server, which does not look at serials."""
        if line.mini:
            return struct.pack("<HI", kind, len(body)) + body
        return struct.pack("<QHII", 1, kind, len(body), 0) + body

    async def _stage(
        self, line: Line, stage: str, count: int, whole: bytes, kind: int = 0, body: bytes = b""
    ) -> bool:  # fmt: skip
        """Passes on what the server says, or what a rule has in its place; whether more follows."""
        rule = self.rule
        if line.stalled:
            return False
        if rule is None or (rule.channel, rule.stage, rule.count) != (line.channel, stage, count):
            await line.page.send(whole)
            return True
        self.rule = None
        try:
            spoiled = rule.spoil(line, kind, body if stage == "message" else whole)
        except Exception as error:
            # Nobody waits for this task.
            self.failure = error
            raise
        pings = stage == "message" and spoiled.framed and spoiled.then == "go"
        # This task ends with the connection.
        self.applied = (line, spoiled, self.last_ping + 1 if pings else None)
        self._tell()
        await self._say(line, spoiled)
        if pings:
            await self._send_ping(line)
        return spoiled.then == "go"

    async def _say(self, line: Line, spoiled: Spoiled) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            if spoiled.data:
                await line.page.send(spoiled.data)
        if spoiled.then == "stall":
            line.stalled = True
        elif spoiled.then == "close":
            self._hurt = True
            with contextlib.suppress(websockets.ConnectionClosed):
                await line.page.close(1011 if spoiled.reason else 1000, spoiled.reason)
            await self._end(line)

    async def _from_page(self, line: Line, page: Buffer) -> None:
        """Passes on what the page says, but for what is not for the VM."""
        if line.channel != PLAYBACK:
            await line.server.send(await page.take(AUTH_BYTES))
        while True:
            header = await page.take(6 if line.mini else 18)
            kind, size = struct.unpack_from("<HI", header, 0 if line.mini else 8)
            body = await page.take(size)
            if kind == CLIENT_PONG and len(body) == 12:
                number, mark = struct.unpack("<IQ", body)
                if mark == MARK | number:
                    line.pongs.add(number)
                    self._tell()
                    continue
            if line.channel != PLAYBACK and kind not in (CLIENT_ACK_SYNC, CLIENT_ACK):
                await line.server.send(header + body)

    async def _end(self, line: Line) -> None:
        """Ends both sides. The VM need not keep the session of a page that has closed it by itself."""
        if not line.is_open:
            return
        line.is_open = False
        self._tell()
        if line.server is not None:
            if line.channel == MAIN and line.linked and not self._hurt:
                body = struct.pack("<QI", 0, 0)
                with contextlib.suppress(websockets.ConnectionClosed):
                    await line.server.send(self._framed(line, CLIENT_DISCONNECTING, body))
            line.server.transport.abort() if self._hurt else await line.server.close()
        line.page.transport.abort()


