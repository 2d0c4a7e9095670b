"""What a client does with the guest's agent: clipboard, monitors, mouse mode, files."""

import time

import gi

gi.require_version("SpiceClientGLib", "2.0")
from gi.repository import Gio, GObject  # noqa: E402

_on = GObject.Object.connect


class Agent:
    """The agent's side of a main channel, from when it is made."""

    def __init__(self, client, channel) -> None:
        self._client, self._channel = client, channel
        # By selection: the types that the guest offers.
        self.offers: dict[int, list[int]] = {}
        # What the guest was asked for and has answered: selection, type, data.
        self.answers: list[tuple[int, int, bytes]] = []
        # What the guest gets when it asks: by selection and type.
        self.holds: dict[tuple[int, int], bytes] = {}
        self.asked: list[tuple[int, int]] = []
        # How often one has come.
        self._came = 0
        _on(channel, "notify::agent-connected", self._changed)
        _on(channel, "main-clipboard-selection-grab", self._grabbed)
        _on(channel, "main-clipboard-selection-release", lambda _c, selection: self.offers.pop(selection, None))
        _on(channel, "main-clipboard-selection", self._answered)
        _on(channel, "main-clipboard-selection-request", self._asked)

    def _changed(self, *_arguments) -> None:
        self._came += self.is_connected()

    def _grabbed(self, _channel, selection: int, types: list[int], _count: int) -> bool:
        self.offers[selection] = list(types)
        return True

    def _answered(self, _channel, selection: int, kind: int, data: bytes, size: int) -> None:
        self.answers.append((selection, kind, bytes(data[:size]) if size else b""))

    def _asked(self, _channel, selection: int, kind: int) -> bool:
        self.asked.append((selection, kind))
        data = self.holds.get((selection, kind))
        if data is None:
            return False
        self._channel.clipboard_selection_notify(selection, kind, data)
        return True

    def is_connected(self) -> bool:
        """Whether the server says that there is one."""
        return self._channel.get_property("agent-connected")

    def wait_connected(self, connected: bool, times: int, seconds: float) -> None:
        """Waits until there is one, the given time it came, or none."""
        what = "agent" if connected else "end of agent"
        self._client.wait_until(
            lambda: self.is_connected() == connected and self._came >= times, seconds, f"{what} ({self._came} came)"
        )

    def can(self, bit: int) -> bool:
        """Whether it says that it can do something (a bit of its capabilities)."""
        return self._channel.agent_test_capability(bit)

    def wait_can(self, bit: int, seconds: float) -> None:
        self._client.wait_until(lambda: self.can(bit), seconds, f"capability {bit} of the agent")

    def copy(self, selection: int, kind: int, data: bytes) -> None:
        """Has data in a selection, and says so to the guest."""
        # What the guest offered until now is of no interest.
        self.offers.pop(selection, None)
        self.holds[selection, kind] = data
        self._channel.clipboard_selection_grab(selection, [kind])

    def drop(self, selection: int) -> None:
        """Has nothing in a selection any more."""
        self._channel.clipboard_selection_release(selection)

    def wait_offer(self, selection: int, kind: int, seconds: float) -> None:
        """Waits until the guest offers a type."""
        self._client.wait_until(
            lambda: kind in self.offers.get(selection, []), seconds, f"offer of {kind} in selection {selection}"
        )

    def paste(self, selection: int, kind: int, seconds: float) -> bytes:
        """What the guest has in a selection."""
        before = len(self.answers)
        self._channel.clipboard_selection_request(selection, kind)
        self._client.wait_until(lambda: len(self.answers) > before, seconds, "answer of the guest")
        answer = self.answers[before]
        if answer[:2] != (selection, kind):
            raise ValueError(f"asked for {kind} of selection {selection}, answered with {answer[:2]}")
        return answer[2]

    def want_monitor(self, number: int, x: int, y: int, width: int, height: int) -> None:
        """Asks the guest for a monitor of a size and place."""
        self._channel.update_display_enabled(number, True, False)
        self._channel.update_display(number, x, y, width, height, False)
        self._channel.send_monitor_config()

    def drop_monitor(self, number: int) -> None:
        """Tells the guest that there is no such monitor any more."""
        self._channel.update_display_enabled(number, False, False)
        self._channel.send_monitor_config()

    def want_mouse_mode(self, client: bool) -> None:
        """Asks for the client's mouse mode, or the server's."""
        self._channel.request_mouse_mode(2 if client else 1)

    def send_file(self, path: str, seconds: float) -> float:
        """Sends a file to the guest; how many seconds that took."""
        done: list[str] = []

        def finished(channel, result) -> None:
            try:
                channel.file_copy_finish(result)
                done.append("")
            except Exception as error:  # of GLib, for whatever reason
                done.append(str(error))

        began = time.monotonic()
        source = [Gio.File.new_for_path(path)]
        self._channel.file_copy_async(source, Gio.FileCopyFlags.NONE, None, None, None, finished)
        self._client.wait_until(lambda: done, seconds, "end of the transfer")
        if done[0]:
            raise OSError(f"{path}: {done[0]}")
        return time.monotonic() - began
