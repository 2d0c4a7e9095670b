"""A guest with our drivers, on devices that are told to misbehave: what its kernel says, and what a client sees."""

import random
import re
import string
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from desktop.console import READY, boot_of
from desktop.scene import Scene
from harness import nested
from harness.vm import Failed, expect
from harness.watcher import Watcher

DRIVERS = nested.CHECKOUT / "guest-drivers" / "linux"
# What a kernel says that has been harmed.
HARM = re.compile(
    r"BUG|WARNING|Oops|Call Trace|soft lockup|blocked for more than|detected stall|general protection|nobody cared"
    r"|refcount_t|use-after-free|list_(?:add|del) corruption"
)
# How long it is attempted to have a fault act.
ACT_SECONDS = 60
CLIENT_SECONDS = 60
EQUAL_SECONDS = 1


# With --short, every so many kinds of faults, and of the lies that a driver sees when it is bound.
KINDS_STEP, LIES_STEP = 3, 8


def kinds(cases: Sequence, is_short: bool) -> list:
    """All cases, or the first of some faults."""
    return list({case.fault: case for case in reversed(cases)}.values())[::-KINDS_STEP] if is_short else list(cases)


class Guest:
    """The guest. To be used with `with`."""

    def __init__(self, program: Path, name: str, drivers: Path = DRIVERS, kernel: str | None = None) -> None:
        options = ["--instead", f"qxl={drivers / 'qxl'}", "--module", str(drivers / "vdiport")]
        image = nested.image("test-console", *options, *(["--kernel", kernel] if kernel else []))
        self._compared = 0
        self._scene = Scene(f"misbehave-{name}", program, {"boot": boot_of(image)})

    def __enter__(self) -> "Guest":
        self._scene.__enter__()
        self._scene.guest.wait_serial(READY)
        # What the kernel says is read from its log and not mixed with what commands say; who waits long is named soon.
        self.run("dmesg -n 1; echo 15 >/proc/sys/kernel/hung_task_timeout_secs; dmesg -c >/dev/null")
        self.client: Watcher = self._scene.attached("client")
        return self

    def __exit__(self, *error) -> None:
        self._scene.__exit__(*error)

    def run(self, command: str) -> str:
        """What a command prints; the guest's shell must answer."""
        end = "".join(random.choices(string.ascii_lowercase, k=8))
        return self._scene.guest.ask(f"{command}\necho end {end}", rf"(?s)(.*?)^end {end}$")[1].strip()

    def misbehave(self, device: str, fault: str, value: int = 0, count: int | None = None) -> None:
        """Arms a fault of a device."""
        counted = {} if count is None else {"count": count}
        self._scene.qmp.execute(
            "x-caraway-misbehave", {"device": device, "fault": fault, "value": value, **counted}
        )

    def behave(self, device: str) -> int:
        """Ends the fault of a device; how often it has acted."""
        return self._scene.qmp.execute("x-caraway-misbehave", {"device": device, "fault": "none"})["acted"]

    def acted(self, device: str) -> int:
        """How often the last fault of a device has acted."""
        return self._scene.qmp.execute("x-caraway-misbehave", {"device": device})["acted"]

    @staticmethod
    def until(what: str, holds: Callable[[], bool]) -> None:
        """Tries again and again until something holds."""
        limit = time.monotonic() + ACT_SECONDS
        while not holds():
            if time.monotonic() > limit:
                raise Failed(f"{what}: not within {ACT_SECONDS} s")

    def said(self, driver: str, command: str = "true") -> list[str]:
        """Runs a command, which prints nothing. The warnings and errors of a driver since the last time; the kernel must be unharmed."""
        log = self.run(f"{command}; dmesg -rc")
        harm = [line for line in log.splitlines() if HARM.search(line)]
        expect(not harm, f"the kernel is harmed:\n{log}")
        return [line for line in log.splitlines() if re.match(rf"<[0-4]>.*\b{driver}\b", line)]

    def shows(self, what: str) -> None:
        """The guest writes a word on its console; the client sees it, and its picture equals the canvas."""
        word = "".join(random.choices(string.ascii_lowercase, k=12))
        self.run(f"printf '\\n{word} ' >/dev/tty1")
        self.client.step("wait-text", text=word, seconds=CLIENT_SECONDS)
        # Nothing else is drawn; if something was under way, it is waited for.
        if not self.client.step("wait-equal", file=self._scene.shot()["file"], seconds=EQUAL_SECONDS)["equal"]:
            self._scene.same(what)
        self._compared += 1

    @property
    def is_there(self) -> bool:
        """Whether the nested host and the machine still run."""
        return self._scene.guest.process.poll() is None and self._scene.guest.serial().count("caraway-guest: ready") == 1

    def finish(self) -> str:
        """The end: every drawing must have made sense. For the report, how often pictures were compared."""
        self._scene.finish()
        return f"{self._compared} pictures compared"
