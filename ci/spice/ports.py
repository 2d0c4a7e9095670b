"""A scripted spice-gtk client of the channels that lead to ports: named ports, folder sharing, USB devices."""

import ctypes
import time

import gi

gi.require_version("SpiceClientGLib", "2.0")
from gi.repository import GLib, GObject, SpiceClientGLib  # noqa: E402

_on = GObject.Object.connect

OPENED, CLOSED, BREAK = range(3)

# The hash of a GObject wrapper is the address of the object.
_write = ctypes.CDLL("libspice-client-glib-2.0.so.8").spice_port_channel_write_async
_write.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, *[ctypes.c_void_p] * 3]
_write.restype = None


class Timeout(Exception):
    """What was waited for did not come in time."""


class Port:
    """A port or webdav channel: its name, what happened to it and what came of it."""

    def __init__(self, channel) -> None:
        self.channel = channel
        self.events: list[int] = []
        self.data = b""
        self._written: list[bytes] = []
        _on(channel, "port-event", lambda _channel, event: self.events.append(event))
        _on(channel, "port-data", self._came)

    def _came(self, _channel, data, size: int) -> None:
        # Introspection takes it for a plain pointer.
        self.data += ctypes.string_at(data, size)

    @property
    def name(self) -> str | None:
        return self.channel.get_property("port-name")

    @property
    def opened(self) -> bool:
        return self.channel.get_property("port-opened")

    def write(self, data: bytes) -> None:
        """Writes without waiting."""
        # spice-gtk reads the buffer later; the one that introspection makes is gone by then.
        self._written.append(data)
        _write(hash(self.channel), data, len(data), None, None, None)

    def send_break(self) -> None:
        self.channel.event(BREAK)


class Client:
    """A client with a main channel and all there are of ports. All waiting runs the GLib main loop and has a limit."""

    def __init__(self, port: str, seconds: float, usb: bool = False, shared: str | None = None) -> None:
        self._seconds = seconds
        self._context = GLib.MainContext.default()
        self.ports: list[Port] = []
        self.usb: list = []
        self.opened: list = []
        self.session = session = SpiceClientGLib.Session()
        properties = {
            "host": "127.0.0.1", "port": port, "enable-audio": False, "enable-smartcard": False, "enable-usbredir": usb,
        }  # fmt: skip
        for name, value in properties.items():
            session.set_property(name, value)
        if shared:
            session.set_property("shared-dir", shared)
        _on(session, "channel-new", self._channel_new)
        self.manager = SpiceClientGLib.UsbDeviceManager.get(session) if usb else None
        if not session.connect():
            raise Timeout(f"spice-gtk refuses to connect to port {port}")

    def _channel_new(self, _session, channel) -> None:
        _on(channel, "channel-event", self._channel_event)
        if isinstance(channel, SpiceClientGLib.PortChannel):
            self.ports.append(Port(channel))
        elif isinstance(channel, SpiceClientGLib.UsbredirChannel):
            self.usb.append(channel)
            return
        else:
            return
        channel.connect()

    def _channel_event(self, channel, event) -> None:
        if event == SpiceClientGLib.ChannelEvent.OPENED:
            self.opened.append(channel)

    def wait(self, condition, what: str):
        """Waits until a condition gives something true, which is returned."""
        ticker = GLib.timeout_add(10, lambda: True)
        limit = time.monotonic() + self._seconds
        try:
            while not (found := condition()):
                if time.monotonic() >= limit:
                    raise Timeout(f"no {what} within {self._seconds:g} s")
                self._context.iteration(True)
            return found
        finally:
            GLib.source_remove(ticker)

    def port(self, name: str) -> Port:
        """Waits for the port of that name; the last one, if it has come again."""
        return self.wait(lambda: next((port for port in reversed(self.ports) if port.name == name), None), f"port {name}")

    def add_cd(self, image: str):
        """A CD drive for the guest that is emulated here, with a picture of a CD in it."""
        self.manager.create_shared_cd_device(image)
        return self.wait(lambda: next(iter(self.manager.get_devices() or []), None), "USB device")

    def redirect(self, device) -> None:
        """Connects a USB device to a free channel."""
        done = []

        def finished(manager, result) -> None:
            try:
                done.append(manager.connect_device_finish(result))
            except GLib.Error as error:
                done.append(error.message)

        self.manager.connect_device_async(device, None, finished)
        answer = self.wait(lambda: done, "answer of the USB device manager")[0]
        if answer is not True:
            raise Timeout(f"the USB device is not redirected: {answer}")

    def close(self) -> None:
        """Ends the connection."""
        self.session.disconnect()
        limit = time.monotonic() + 1
        while self._context.pending() and time.monotonic() < limit:
            self._context.iteration(False)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_error) -> None:
        self.close()
