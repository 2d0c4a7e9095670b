"""A Linux guest and the clients that look at it; what they show is compared with the canvas, pixel by pixel."""

import base64
import contextlib
import shutil
import time
from pathlib import Path

from harness import nested
from harness.vm import Failed, expect
from harness.watcher import Watcher
from spice import picture

# Milliseconds without a change after which a screen is at rest.
STILL_MS = 1500
# A screen that changes while it is compared is looked at again.
ROUNDS = 5
CLIENT_SECONDS = 60
POLL_SECONDS = 0.05
# In which the machine is stopped.
PAUSE_SECONDS = 2
# Channel type of a display (spice-protocol, enum SPICE_CHANNEL).
DISPLAY_CHANNEL = 2
FAILED = nested.RESULTS / "desktop"


class Scene:
    """A guest in the nested host with its control socket and clients. To be used with `with`."""

    # In which a guest does what is waited for, and a client shows it.
    boot_seconds = nested.BOOT_SECONDS
    client_seconds = CLIENT_SECONDS

    def __init__(
        self, name: str, program: Path, config: dict, paused: bool = False, seconds: int = nested.RUN_SECONDS
    ) -> None:
        self.name = name
        self._guest = nested.NestedVm(program, config, paused, seconds, self.boot_seconds)
        self._clients: dict[int, list[Watcher]] = {}
        self._stack = contextlib.ExitStack()
        self._compared = 0

    def __enter__(self) -> "Scene":
        with contextlib.ExitStack() as stack:
            self.guest = stack.enter_context(self._guest)
            self.qmp = stack.enter_context(self.guest.qmp())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def attach(self, name: str, display: int = 0) -> Watcher:
        """A client for one display that stays to the end."""
        client = self._stack.enter_context(self.guest.watch(name, "--no-picture", "--display", str(display)))
        self._clients.setdefault(display, []).append(client)
        return client

    def attached(self, name: str, display: int = 0) -> Watcher:
        """A client that has a picture when this returns."""
        client = self.attach(name, display)
        client.step("mark", seconds=self.boot_seconds)
        return client

    def amid(self, name: str, commands: str, pattern: str, display: int = 0, first: str = "") -> Watcher:
        """Has the guest run `commands`, with a client that comes in their middle, and waits for `pattern`.

        The machine is stopped as soon as the guest has said that it begins, and goes on when the client has its channels.
        If the commands were over by then, the check fails. What takes no time is cut in two: the guest says that it begins
        after `first`, and pauses.
        """
        shown = self._displays()
        start = len(self.guest.serial())
        begins = f"echo begins {name} >/dev/ttyS0; "
        if first:
            begins = f"{first}; {begins}sleep {PAUSE_SECONDS}; "
        self.guest.ask(f"{begins}{commands}", rf"^begins {name}$")
        self.qmp.execute("stop")
        client = self.attach(name, display)
        limit = time.monotonic() + self.boot_seconds
        while self._displays() == shown:
            expect(time.monotonic() < limit, f"client {name} did not connect while the machine was stopped")
            time.sleep(POLL_SECONDS)
        expect(not self.guest.reached(pattern, start), f"{commands!r} was over before the machine was stopped")
        self.qmp.execute("cont")
        self.guest.wait_serial(pattern, start=start)
        return client

    def _displays(self) -> int:
        """How many display channels are up."""
        channels = self.qmp.execute("query-spice")["channels"]
        return sum(channel["channel-type"] == DISPLAY_CHANNEL for channel in channels)

    def clients(self, display: int = 0) -> list[Watcher]:
        """All clients of a display."""
        return self._clients[display]

    def shot(self, display: int = 0, head: int | None = None) -> dict:
        """The canvas, or the part of it one head shows: `width`, `height`, `hash`, and `file`."""
        shot = self.qmp.execute("x-caraway-shot", {"device": display, **({} if head is None else {"head": head})})
        part = "" if head is None else f"-head{head}"
        file = self.guest.folder / f"canvas{display}{part}.png"
        file.write_bytes(base64.b64decode(shot.pop("png")))
        return {**shot, "file": str(file)}

    def same(self, what: str, display: int = 0) -> dict:
        """Waits until the screen is at rest and every client of a display shows the canvas; its screenshot."""
        for _ in range(ROUNDS):
            still = {"device": display, "still": STILL_MS, "timeout": int(self.boot_seconds)}
            self.qmp.execute("x-caraway-wait", still, seconds=self.boot_seconds + 60)
            canvas = self.shot(display)
            shown = {
                client.name: client.step(
                    "wait-equal", file=canvas["file"], out=self._picture_of(client), seconds=self.client_seconds
                )
                for client in self._clients[display]
            }
            if all(answer["equal"] for answer in shown.values()):
                self._compared += len(shown)
                return canvas
            if self.shot(display)["hash"] == canvas["hash"]:
                break
        else:
            raise Failed(f"{what}: the screen does not come to rest")
        kept = FAILED / self.name
        kept.mkdir(parents=True, exist_ok=True)
        for file in self.guest.folder.glob("*.png"):
            shutil.copy(file, kept)
        different = {name: answer for name, answer in shown.items() if not answer["equal"]}
        raise Failed(f"{what}: clients differ from the canvas (pictures in {kept}): {different}")

    def blank(self, what: str, display: int = 0) -> None:
        """Waits until no client has a picture of a display; its canvas is black then."""
        for client in self._clients[display]:
            client.step("wait-blank", seconds=self.client_seconds)
        canvas = picture.load(self.shot(display)["file"])
        expect(not canvas.pixels.any(), f"{what}: clients have no picture, but the canvas is not black")

    def _picture_of(self, client: Watcher) -> str:
        return str(self.guest.folder / f"{client.name}.png")

    def size(self, what: str, width: int, height: int, display: int = 0) -> dict:
        """As `same`, of a screen of this size."""
        canvas = self.same(what, display)
        seen = (canvas["width"], canvas["height"])
        expect(seen == (width, height), f"{what}: the canvas is {seen[0]}x{seen[1]}, not {width}x{height}")
        return canvas

    def finish(self) -> str:
        """The end of a check: every drawing must have made sense. For the report, how many pictures were compared."""
        dropped = self.qmp.execute("x-caraway-figures")["dropped-drawings"]
        expect(dropped == 0, f"{dropped} drawings made no sense to the device")
        return f"{self._compared} pictures compared"
