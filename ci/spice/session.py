"""A scripted spice-gtk client: connects, waits for the picture, reads its pixels, types and moves the mouse."""

import ctypes
import queue
import struct
import threading
import time
from collections.abc import Iterable

import gi

gi.require_version("SpiceClientGLib", "2.0")
from gi.repository import GLib, GObject, SpiceClientGLib  # noqa: E402

from . import agent, keys  # noqa: E402
from .picture import Picture, from_rows  # noqa: E402

# SpiceSurfaceFmt: bits for picture.from_rows.
SURFACE_FORMATS = {16: 15, 80: 16, 32: 32, 96: 32}
# After this many motions without an acknowledgement spice-gtk adds further ones up.
MOTIONS_IN_FLIGHT = 4
PRIMARY_SURFACE = 0
RETRY_MS = 20


class ClientError(Exception):
    """The connection or a request failed; the text says what spice-gtk reported."""


class ClientTimeout(ClientError):
    """What was waited for did not come in time."""


class _Primary(ctypes.Structure):
    # struct SpiceDisplayPrimary of channel-display.h; introspection gives no way to the pixels.
    _fields_ = [
        ("format", ctypes.c_int), ("width", ctypes.c_int), ("height", ctypes.c_int), ("stride", ctypes.c_int),
        ("shmid", ctypes.c_int), ("data", ctypes.c_void_p), ("marked", ctypes.c_int),
    ]  # fmt: skip


class _Array(ctypes.Structure):
    # struct GArray.
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_uint)]


class _Shape(ctypes.Structure):
    # struct SpiceCursorShape of channel-cursor.h.
    _fields_ = [
        ("type", ctypes.c_int), ("width", ctypes.c_uint16), ("height", ctypes.c_uint16),
        ("hot_x", ctypes.c_uint16), ("hot_y", ctypes.c_uint16), ("data", ctypes.c_void_p),
    ]  # fmt: skip


# SpiceDisplayMonitorConfig: id, surface, x, y, width, height.
_MONITOR = struct.Struct("<6I")

# Sessions and channels have a method `connect` of their own, which hides the one for signals.
_on = GObject.Object.connect

_library = ctypes.CDLL("libspice-client-glib-2.0.so.8")
_get_primary = _library.spice_display_channel_get_primary
_get_primary.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(_Primary)]
_get_primary.restype = ctypes.c_int
_glib = ctypes.CDLL("libglib-2.0.so.0")
_gobject = ctypes.CDLL("libgobject-2.0.so.0")


def debug_on_stderr() -> None:
    """Has spice-gtk write its debug log to standard error."""
    GLib.log_writer_default_set_use_stderr(True)
    SpiceClientGLib.util_set_debug(True)


class Client:
    """One client connection. All waiting runs the GLib main loop and has a limit.

    It looks at one display, and draws `further` ones too, whose pixels and monitors can be read. One that may only look
    has no inputs channel to wait for."""

    def __init__(
        self, target: dict, display: int = 0, further: Iterable[int] = (), only_looks: bool = False
    ) -> None:
        self._only_looks = only_looks
        self._target = target
        self._display_id = display
        self._further = set(further)
        self._context = GLib.MainContext.default()
        self._reset()

    def _reset(self) -> None:
        self._channels: dict[str, object] = {}
        self._opened: set[str] = set()
        self._error: str | None = None
        self._last_change = time.monotonic()
        self._motions = 0
        self.changes = 0
        # How often the server has sent it to another host, and the channels of before.
        self.switched = 0
        self._left: list[object] = []
        self.mark_ns: int | None = None
        # Time, width and height of each picture that was marked as ready to be shown.
        self.marks: list[tuple[int, int, int]] = []
        self.cursor: dict = {"visible": False}

    def connect(self, seconds: float) -> None:
        """Connects main, display, inputs and cursor channels; tries again until `seconds` have passed."""
        limit = time.monotonic() + seconds
        before = None
        while True:
            self._reset()
            self._start()
            wanted = {"main", "display"} | {f"display {number}" for number in self._further}
            if not self._only_looks:
                wanted.add("inputs")
            self._run(lambda: wanted <= self._opened or self._error, limit)
            if wanted <= self._opened:
                return
            # The last attempt may have been cut short.
            reason = before = self._error or before or f"opened only {sorted(self._opened)}"
            self.close()
            if time.monotonic() >= limit or "authentication" in reason or "tls" in reason:
                raise ClientError(f"cannot connect to {self._where()}: {reason}")
            self._run(lambda: False, min(limit, time.monotonic() + RETRY_MS / 1000))

    def _where(self) -> str:
        port = self._target.get("port") or self._target.get("tls-port")
        return self._target.get("unix-path") or f"{self._target['host']}:{port}"

    def _start(self) -> None:
        session = SpiceClientGLib.Session()
        for name, value in self._target.items():
            session.set_property(name, value)
        session.set_property("enable-audio", False)
        session.set_property("enable-usbredir", False)
        session.set_property("enable-smartcard", False)
        _on(session, "channel-new", self._channel_new)
        self._session = session
        if not session.connect():
            raise ClientError(f"spice-gtk refuses to connect to {self._where()}")

    def _channel_new(self, _session, channel) -> None:
        kinds = {
            "main": SpiceClientGLib.MainChannel, "display": SpiceClientGLib.DisplayChannel,
            "inputs": SpiceClientGLib.InputsChannel, "cursor": SpiceClientGLib.CursorChannel,
        }  # fmt: skip
        number = channel.get_property("channel-id")
        if isinstance(channel, SpiceClientGLib.DisplayChannel) and number in self._further:
            name = f"display {number}"
            self._channels[name] = channel
            _on(channel, "channel-event", self._channel_event, name)
            channel.connect()
            return
        for name, kind in kinds.items():
            if isinstance(channel, kind) and number == (self._display_id if name in ("display", "cursor") else 0):
                break
        else:
            return
        self._channels[name] = channel
        _on(channel, "channel-event", self._channel_event, name)
        if name == "main":
            self.agent = agent.Agent(self, channel)
        elif name == "display":
            _on(channel, "display-mark", self._marked)
            _on(channel, "display-invalidate", self._changed)
            _on(channel, "display-primary-create", self._changed)
        elif name == "cursor":
            _on(channel, "cursor-set", self._cursor_set)
            _on(channel, "cursor-move", lambda _c, x, y: self.cursor.update(x=x, y=y))
            _on(channel, "cursor-hide", lambda _c: self.cursor.update(visible=False))
            _on(channel, "cursor-reset", lambda _c: self.cursor.update(visible=False))
        if name != "main":
            channel.connect()

    def _channel_event(self, channel, event, name: str) -> None:
        if event == SpiceClientGLib.ChannelEvent.OPENED:
            self._opened.add(name)
        elif event == SpiceClientGLib.ChannelEvent.SWITCHING:
            # The machine has moved: spice-gtk goes where it was told by itself, with new channels but for the main one.
            # Those that it leaves behind may have been closed already.
            self.switched += 1
            self._left += [left for left in self._channels.values() if left is not channel]
            self._error = None
        elif channel in self._left:
            return
        elif event != SpiceClientGLib.ChannelEvent.NONE and self._error is None:
            words = {"ERROR_AUTH": "authentication failed", "ERROR_CONNECT": "connection refused"}
            kind = event.value_nick.replace("-", "_").upper()
            why = channel.get_error()
            said = f" ({why.domain} {why.code}: {why.message})" if why else ""
            self._error = f"{name} channel: {words.get(kind, event.value_nick)}{said}"

    def _marked(self, _channel, mark) -> None:
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        if mark and self.mark_ns is None:
            self.mark_ns = now
        if mark and (primary := self._primary()):
            self.marks.append((now, primary.width, primary.height))
        self._changed()

    def _changed(self, *_arguments) -> None:
        self._last_change = time.monotonic()
        self.changes += 1

    def _cursor_set(self, _channel, width, height, hot_x, hot_y, _rgba) -> None:
        self.cursor.update(visible=True, width=width, height=height, hot_x=hot_x, hot_y=hot_y)

    def _run(self, done, limit: float, poll_ms: int = 10) -> bool:
        """Runs the main loop until `done()` or the limit; returns whether it was done."""
        # Without an event of its own the loop would sleep past the limit.
        ticker = GLib.timeout_add(poll_ms, lambda: True)
        try:
            while not (finished := done()) and time.monotonic() < limit:
                self._context.iteration(True)
            return bool(finished)
        finally:
            GLib.source_remove(ticker)

    def lines(self, stream):
        """The lines of a stream as they come; until then the client draws what it is sent, as one with a window would."""
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()

        def read() -> None:
            for line in stream:
                lines.put(line)
            lines.put("")

        threading.Thread(target=read, daemon=True).start()
        while True:
            self.idle(lambda: not lines.empty())
            line = lines.get()
            if not line:
                return
            yield line

    def idle(self, done) -> None:
        """Follows the server until `done()`, which may take any time; a lost connection shows at the next step."""
        self._run(done, float("inf"), poll_ms=20)

    def wait_until(self, done, seconds: float, what: str) -> None:
        """Waits for a condition on what the server has told."""
        self._wait(done, seconds, what)

    def _wait(self, done, seconds: float, what: str) -> None:
        if not self._run(lambda: done() or self._error, time.monotonic() + seconds):
            raise ClientTimeout(f"no {what} within {seconds:g} s")
        if not done():
            raise ClientError(f"waiting for {what}: {self._error}")

    def wait_mark(self, seconds: float) -> None:
        """Waits until the server has marked the display as showing something."""
        self._wait(lambda: self.mark_ns is not None and self._primary() is not None, seconds, "picture")

    def settle(self, quiet_seconds: float, seconds: float) -> None:
        """Waits until nothing has changed on the screen for `quiet_seconds`."""
        self._wait(lambda: time.monotonic() - self._last_change >= quiet_seconds, seconds, "quiet screen")

    def wait_for(self, condition, seconds: float, what: str):
        """Calls `condition(picture)` for every changed picture until it gives something true, which is returned."""
        limit = time.monotonic() + seconds
        while True:
            seen = self.changes
            self._catch_up()
            # Between two primary surfaces there is none.
            picture = self._read() if self._primary() else None
            found = picture is not None and condition(picture)
            if found:
                return found
            left = limit - time.monotonic()
            if left <= 0:
                raise ClientTimeout(f"no {what} within {seconds:g} s")
            if self._error:
                raise ClientError(f"waiting for {what}: {self._error}")
            # The rest of a burst of updates comes at once; looking at each of them would be slower than the server.
            self._run(lambda: self.changes != seen or self._error, limit)
            self._run(lambda: time.monotonic() - self._last_change > 0.03, min(limit, time.monotonic() + 0.3))

    def _display(self, number: int | None):
        return self._channels.get(f"display {number}" if number in self._further else "display")

    def _primary(self, display: int | None = None) -> _Primary | None:
        primary = _Primary()
        channel = self._display(display)
        # The hash of a GObject wrapper is the address of the object.
        if channel is None or not _get_primary(hash(channel), PRIMARY_SURFACE, ctypes.byref(primary)):
            return None
        return primary if primary.data else None

    def has_picture(self) -> bool:
        """Whether there is a primary surface."""
        return self._primary() is not None

    def monitors(self, display: int | None = None) -> list[dict]:
        """Place and size of each monitor of the display, as the server has told."""
        channel = self._display(display)
        array = ctypes.POINTER(_Array)()
        # Introspection has no type for the elements. The hash of a wrapper is the address of the object.
        name = b"monitors"
        _gobject.g_object_get(ctypes.c_void_p(hash(channel)), name, ctypes.byref(array), ctypes.c_void_p())
        if not array:
            return []
        data = ctypes.string_at(array.contents.data, array.contents.length * _MONITOR.size)
        _glib.g_array_unref(array)
        names = ("id", "surface", "x", "y", "width", "height")
        return [dict(zip(names, values)) for values in _MONITOR.iter_unpack(data)]

    def cursor_shape(self) -> dict | None:
        """Size, hot spot and pixels (R, G, B, A, in hex) of the pointer as the client has made it, if it has one."""
        channel = self._channels.get("cursor")
        shape = ctypes.POINTER(_Shape)()
        if channel is not None:
            # The pixels stay the channel's until another shape comes.
            name = b"cursor"
            _gobject.g_object_get(ctypes.c_void_p(hash(channel)), name, ctypes.byref(shape), ctypes.c_void_p())
        if not shape or not shape.contents.data:
            return None
        found = shape.contents
        size, hot = [found.width, found.height], [found.hot_x, found.hot_y]
        pixels = ctypes.string_at(found.data, found.width * found.height * 4)
        _glib.g_free(shape)
        return {"size": size, "hot": hot, "rgba": pixels.hex()}

    def _catch_up(self) -> None:
        self._run(lambda: not self._context.pending(), time.monotonic() + 1)

    def picture(self) -> Picture:
        """The primary surface as the client has drawn it."""
        self._catch_up()
        return self._read()

    def _read(self) -> Picture:
        primary = self._primary()
        if primary is None:
            raise ClientError("there is no primary surface")
        bits = SURFACE_FORMATS.get(primary.format)
        if bits is None:
            raise ClientError(f"surface format {primary.format} is not one of {sorted(SURFACE_FORMATS)}")
        data = ctypes.string_at(primary.data, primary.stride * primary.height)
        return from_rows(data, primary.width, primary.height, primary.stride, bits)

    def rows(self, display: int | None = None) -> tuple[int, int, int, bytes]:
        """Format, width and height of the primary surface, and its rows without padding, as the client has them."""
        primary = self._primary(display)
        if primary is None:
            raise ClientError("there is no primary surface")
        # The low bits of a format are its bits per pixel, but for ARGB.
        bits = {96: 32}.get(primary.format, primary.format & 63)
        length = (primary.width * bits + 7) // 8
        starts = (primary.data + y * primary.stride for y in range(primary.height))
        return primary.format, primary.width, primary.height, b"".join(ctypes.string_at(at, length) for at in starts)

    def prefer_compression(self, mode: int) -> None:
        """Asks the server for a mode of compression (SpiceImageCompression)."""
        # To introspection this is no method, though it takes a channel.
        SpiceClientGLib.DisplayChannel.display_channel_change_preferred_compression(self._channels["display"], mode)

    def prefer_video(self, codecs: list[int]) -> None:
        """Asks the server for codecs of video (SpiceVideoCodecType), the one that is wanted most first."""
        display = SpiceClientGLib.DisplayChannel
        display.display_channel_change_preferred_video_codec_types(self._channels["display"], codecs)

    def traffic(self) -> int:
        """Bytes that the display and cursor channels have received."""
        channels = [self._channels[name] for name in ("display", "cursor") if name in self._channels]
        return sum(channel.get_property("total-read-bytes") for channel in channels)

    def mouse_mode(self) -> str:
        """`server` or `client`."""
        mode = self._channels["main"].get_property("mouse-mode")
        return {1: "server", 2: "client"}.get(mode, str(mode))

    def opened(self) -> list[str]:
        """Channels that were opened."""
        return sorted(self._opened)

    def locks(self) -> int:
        """The keyboard's lights as the server has told (1 Scroll, 2 Num, 4 Caps Lock)."""
        return int(self._channels["inputs"].get_property("key-modifiers"))

    def set_locks(self, locks: int) -> None:
        """Says which lights are on here."""
        self._channels["inputs"].set_key_locks(locks)

    def key(self, scancode: int, pressed: bool) -> None:
        inputs = self._channels["inputs"]
        (inputs.key_press if pressed else inputs.key_release)(scancode)

    def type_text(self, text: str, pause: float) -> None:
        """Types `text` on a US keyboard, with `pause` seconds between key events.

        A PS/2 keyboard holds 16 bytes; a guest that is slower than the typist loses the rest.
        """
        for scancode, pressed in keys.strokes(text):
            self.key(scancode, pressed)
            self.flush()
            self._run(lambda: False, time.monotonic() + pause)

    def motion(self, dx: int, dy: int, buttons: int) -> None:
        """A relative motion, for the server mouse mode; `buttons` is the mask of those held."""
        self._channels["inputs"].motion(dx, dy, buttons)
        self._motions += 1
        if self._motions % MOTIONS_IN_FLIGHT == 0:
            self.flush()
            self._run(lambda: False, time.monotonic() + 0.01, poll_ms=2)

    def position(self, x: int, y: int, buttons: int) -> None:
        """An absolute position, for the client mouse mode."""
        self._channels["inputs"].position(x, y, self._display_id, buttons)

    def button(self, number: int, pressed: bool, buttons: int) -> None:
        """Presses or releases button `number` (1 left, 2 middle, 3 right, 4 and 5 the wheel)."""
        inputs = self._channels["inputs"]
        (inputs.button_press if pressed else inputs.button_release)(number, buttons)

    def flush(self, seconds: float = 10) -> None:
        """Waits until all that was sent to the inputs channel is with the kernel."""
        finished = []
        self._channels["inputs"].flush_async(None, lambda *_: finished.append(True))
        self._wait(lambda: finished, seconds, "end of sending")

    def close(self) -> None:
        """Ends the connection."""
        self._session.disconnect()
        self._run(lambda: not self._context.pending(), time.monotonic() + 1)
