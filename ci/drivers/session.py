"""A guest with our QXL driver and a client: what the one shows is compared with what the other does."""

import contextlib
import time

from desktop.console import OURS, READY
from harness import nested, screen
from harness.vm import Failed, expect
from spice import picture

SECONDS = 60
MODULE = OURS.module
RELEASE_CONSOLE = "for c in /sys/class/vtconsole/*; do grep -q 'frame buffer' $c/name && echo 0 >$c/bind; done"


class Session:
    """A guest with our driver on one of the VMMs, and its client. To be used with `with`."""

    def __init__(self, guest: nested.NestedVm, ready: str = READY, install: str | None = screen.INSTALL) -> None:
        self._guest = guest
        self._ready = ready
        self._install = install
        self._stack = contextlib.ExitStack()
        self._compared = 0
        self.shapes = 0
        # The image of its root.
        self.disk = ""

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.guest = stack.enter_context(self._guest)
            self.guest.wait_serial(self._ready)
            self.ask = self.guest.ask
            if self._install:
                self.ask(self._install, r"^screen: frame")
            self.client = stack.enter_context(self.guest.watch("client", "--no-picture"))
            self.client.step("mark", seconds=nested.BOOT_SECONDS)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def _frame(self, number: int) -> tuple[int, int, str] | None:
        """What a CRTC shows, as the kernel has it: width, height, checksum. Nothing when it is off."""
        found = self.ask(f"screen frame {number}", r"^screen: frame (?:off|(\d+)x(\d+) ([0-9a-f]{16}))\n")
        return (int(found[1]), int(found[2]), found[3]) if found[1] else None

    def _parts(self) -> list[tuple[int, int, str]]:
        """What the client shows, by heads."""
        file = self.guest.folder / "client.png"
        self.client.step("save", out=str(file))
        pixels = picture.load(str(file)).pixels
        found = []
        for head in self.client.step("monitors")["monitors"]:
            across, down = slice(head["x"], head["x"] + head["width"]), slice(head["y"], head["y"] + head["height"])
            found.append((head["width"], head["height"], picture.Picture(pixels[down, across].copy()).checksum()))
        return found

    def exact(self, what: str, heads: int = 1, first: int = 0) -> list[tuple[int, int, str]]:
        """Waits until the client shows what the kernel does on `heads` heads; size and checksum of each."""
        limit = time.monotonic() + SECONDS
        while True:
            wanted = [self._frame(number) for number in range(first, first + heads)]
            seen = self._parts()
            if seen == wanted:
                self._compared += heads
                return seen
            if time.monotonic() > limit:
                kept = nested.RESULTS / "drivers"
                kept.mkdir(parents=True, exist_ok=True)
                self.client.step("save", out=str(kept / "client.png"))
                raise Failed(f"{what}: the client shows {seen}, the kernel {wanted} (picture in {kept})")

    def agent(self) -> None:
        """Somebody in the guest has the agent's port open, or QEMU's clients would not ask for heads."""
        self.ask("cat </dev/virtio-ports/com.redhat.spice.0 >/dev/null & echo held", r"^held$")
        self.client.step("agent", seconds=SECONDS)

    def console(self) -> None:
        self.exact("the console")
        draw = r"i=0; while [ $i -lt 100 ]; do printf '\033[3%dmline %d\033[m\n' $((i % 7 + 1)) $i; i=$((i + 1)); done"
        self.ask(f"{draw} >/dev/tty1; echo drawn", r"^drawn$")
        self.exact("lines on the console")

    def reload(self) -> None:
        """Unbound and bound, unloaded and loaded: each time the console comes back, whatever the client shows meanwhile."""
        device = self.ask(f"basename /sys/bus/pci/drivers/{MODULE}/0000:*", r"^(0000:\S+)\n")[1]
        self.ask(f"{RELEASE_CONSOLE}; echo {device} >/sys/bus/pci/drivers/{MODULE}/unbind; echo unbound", r"^unbound$")
        self.ask(f"echo {device} >/sys/bus/pci/drivers/{MODULE}/bind; echo bound", r"^bound$")
        self._quiet("bound again")
        for _ in range(2):
            self.ask(f"{RELEASE_CONSOLE}; rmmod {MODULE} && echo unloaded", r"^unloaded$")
            self.ask(f"insmod /run/modules/{MODULE}.ko && echo loaded", r"^loaded$")
        self._quiet("loaded again")

    def _quiet(self, what: str) -> None:
        self.ask("echo 0 >/sys/class/graphics/fbcon/cursor_blink; printf '\\033c again \\n' >/dev/tty1; echo drawn", r"^drawn$")
        self.exact(what)

    def kernel_log(self) -> None:
        """Nothing is wrong in the kernel since the driver is there; before, emulated processors have warnings of their own."""
        ours = f"dmesg | sed -n '/Initialized {MODULE}/,$p'"
        fault = f"BUG|WARNING|Oops|Call Trace|{MODULE}.*(reset|given)"
        start = len(self.guest.serial())
        self.ask(f"{ours} | grep -E 'Initialized|{fault}'; echo looked", r"^looked$")
        said = self.guest.serial()[start:].splitlines()
        expect(any("Initialized" in line for line in said), f"the kernel's log does not reach back to the driver: {said}")
        if [line for line in said if "Initialized" not in line and line not in ("", "looked")]:
            start = len(self.guest.serial())
            self.ask(f"{ours} | grep -B 4 -A 12 -E '{fault}'; echo looked", r"^looked$")
            raise Failed(f"the kernel says:\n{self.guest.serial()[start:]}")

    def finish(self) -> str:
        self.kernel_log()
        counters = self.ask(
            "mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null; tr '\\n' ' ' </sys/kernel/debug/dri/0/counters; echo; echo counted",
            r"^(pictures .*)\ncounted$",
        )[1]
        shapes = f", {self.shapes} shapes" if self.shapes else ""
        return f"{self._compared} pictures{shapes} compared; {counters.strip()}"
