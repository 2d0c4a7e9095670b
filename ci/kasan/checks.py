"""What is done with our drivers on a kernel that looks for faults."""

import re
import struct
from pathlib import Path

from desktop.console import OURS, Console
from harness.vm import expect

from . import image
from .scene import CheckedScene

DISPLAY, PORT = "/sys/bus/pci/drivers/caraway_qxl", "/sys/bus/pci/drivers/vdiport"
# Rounds of the program that uses a display device as it likes.
ROUNDS = 60
TEXT_BYTES = 1_000_000
# So that each command takes less than the time there is for one.
ROUNDS_AT_ONCE = 10
CYCLES_AT_ONCE = 50
# Capability of an agent and of a client: a clipboard is asked for (VD_AGENT_CAP_CLIPBOARD_BY_DEMAND).
BY_DEMAND = 5
# Types of an agent's messages (vd_agent.h), the port and the protocol that every one has, a type of a clipboard.
ANNOUNCE_CAPABILITIES, CLIPBOARD_REQUEST = 6, 8
CLIENT_PORT, PROTOCOL, UTF8_TEXT = 1, 1, 1
LEAVE_CONSOLE = "for c in /sys/class/vtconsole/*; do grep -q 'frame buffer' $c/name && echo 0 >$c/bind; done; true"
# In which a client hears of something.
STEP_SECONDS = 600


def agent(kind: int, *numbers: int) -> str:
    """A command that writes a message of an agent to the port, which is open as 5."""
    content = struct.pack(f"<{len(numbers)}I", *numbers)
    message = struct.pack("<IIQI", PROTOCOL, kind, 0, len(content)) + content
    written = struct.pack("<II", CLIENT_PORT, len(message)) + message
    return "printf '" + "".join(f"\\{byte:03o}" for byte in written) + "' >&5"


# What it can, and that it asks for the same of the client.
ANNOUNCE = agent(ANNOUNCE_CAPABILITIES, 1, 1 << BY_DEMAND)
OPEN = f"exec 5<>/dev/vdiport0 && {ANNOUNCE}"


class Checks:
    """Checks with one of the images. On the plain kernel only what Debian's kernels have is looked at."""

    def __init__(self, program: Path, label: str, images: dict[str, str]) -> None:
        self._program = program
        self._label = label
        self._image = images

    def _scene(self, name: str, paused: bool = False, **config) -> CheckedScene:
        return CheckedScene(f"{self._label}-{name}", self._program, self._image, paused, **config)

    def planted(self) -> str:
        """Each of the faults that a module has on purpose is found, and the check would fail."""
        with self._scene("planted") as scene:
            scene.begin()
            expect(not scene.faults(), "something is found before anything was done")
            # Lockdep gives up with the first deadlock, and after a use of freed memory; so this order.
            planted = {
                "sleep": "BUG: sleeping function called from invalid context",
                "leak": "unreferenced object",
                "deadlock": "possible circular locking dependency",
                "use-after-free": "BUG: KASAN: slab-use-after-free|BUG: KASAN: use-after-free",
            }
            for fault, said in planted.items():
                scene.run(f"insmod /modules/planted.ko fault={fault} && rmmod planted")
                found = scene.faults()
                expect(any(re.search(said, line) for line in found), f"{fault}: not noticed, only {found}")
                has_given_up = fault in ("deadlock", "use-after-free")
                expect(("lockdep has given up" in found) == has_given_up, f"{fault}: lockdep's end: {found}")
                scene.run("dmesg -c >/dev/null; echo clear >/sys/kernel/debug/kmemleak")
            return f"{len(planted)} violations"

    def cycles(self, count: int) -> str:
        """Both drivers are loaded, used and unloaded; a client looks on."""
        with self._scene("cycles") as scene:
            scene.begin()
            client = scene.attached("client")
            scene.run(f"insmod /modules/vdiport.ko; {LEAVE_CONSOLE}; rmmod vdiport && rmmod caraway_qxl")
            for first in range(1, count + 1, CYCLES_AT_ONCE):
                part = min(CYCLES_AT_ONCE, count + 1 - first)
                said = scene.run(f"exercise cycles {first} {part}; true")
                expect(said == f"exercise: {part} cycles done\n", f"of cycles {first} to {first + part - 1}: {said}")
            left = scene.run("grep -E 'caraway_qxl|vdiport' /proc/interrupts; true")
            expect(not left, f"a handler is left behind: {left}")
            scene.run("insmod /modules/caraway_qxl.ko && printf '\\033cafter all\\n' >/dev/tty1")
            scene.size("afterwards", 1024, 768)
            expect("after all" in client.step("console")["lines"][0], "the console shows something else")
            return f"{count} cycles; {scene.finish()}"

    def drawing(self) -> str:
        """A program sets modes, draws, flips and points as it likes, on two devices."""
        with self._scene("drawing", display={"devices": 2}) as scene:
            scene.begin()
            for display in (0, 1):
                scene.attached(f"client-{display}", display)
                for part in range(ROUNDS // ROUNDS_AT_ONCE):
                    seed = 1 + display * ROUNDS + part
                    said = scene.run(f"exercise draw /dev/dri/card{display} {ROUNDS_AT_ONCE} {seed}; true")
                    expect(said == f"exercise: {ROUNDS_AT_ONCE} rounds drawn\n", said)
            scene.same("first display", 0)
            scene.same("second display", 1)
            return scene.finish()

    def share(self) -> str:
        """One device shows memory of another one.

        Not on the kernel with lockdep: the kernel's helpers for such memory take the same lock of the exporter's while they
        hold that of the importer, without saying that it is another one, and lockdep ends with a warning.
        """
        with self._scene("share", display={"devices": 2}) as scene:
            scene.begin()
            said = scene.run("exercise share /dev/dri/card0 /dev/dri/card1")
            expect("exercise: shared" in said, said)
            return scene.finish()

    def taken(self) -> str:
        """Devices are taken from their drivers while programs have them open, and given back."""
        with self._scene("taken") as scene:
            scene.begin()
            scene.attached("client")
            device = scene.run(f"basename {DISPLAY}/0000:*").strip()
            for _ in range(3):
                scene.run("exercise hold /dev/dri/card0 >/tmp/held & until grep -q holding /tmp/held; do usleep 100000; done")
                scene.run(f"echo {device} >{DISPLAY}/unbind; wait")
                held = scene.run("cat /tmp/held")
                expect("exercise: closed" in held, held)
                scene.run(f"echo {device} >{DISPLAY}/bind")
            self._port_taken(scene)
            scene.run("printf '\\033cgiven back\\n' >/dev/tty1")
            scene.size("given back", 1024, 768)
            return scene.finish()

    def _port_taken(self, scene: CheckedScene) -> None:
        scene.run("insmod /modules/vdiport.ko")
        device = scene.run(f"basename {PORT}/0000:*").strip()
        # A reader that waits is woken, and told.
        scene.run(
            "cat /dev/vdiport0 >/dev/null 2>/tmp/read & reader=$!;"
            " until grep -q vdiport /proc/$reader/wchan; do usleep 100000; done"
        )
        scene.run(f"echo {device} >{PORT}/unbind; wait")
        expect("No such device" in scene.run("cat /tmp/read"), "the reader was not told")
        # One that is open all the while is of no use any more, and in nobody's way.
        scene.run(f"echo {device} >{PORT}/bind; exec 5<>/dev/vdiport0; echo {device} >{PORT}/unbind; echo {device} >{PORT}/bind")
        said = scene.run("cat <&5 2>&1; exec 5>&-; ls /dev/vdiport*")
        expect("No such device" in said and "/dev/vdiport1" in said, f"the old file says {said}")
        scene.run(f"(exec 5<>/dev/vdiport1) && echo {device} >{PORT}/unbind && rmmod vdiport")

    def port(self) -> str:
        """The agent's bytes by the port: both ways, more than the rings hold, nonsense, and while the machine sleeps."""
        with self._scene("port") as scene:
            scene.begin()
            client = scene.attached("client")
            scene.run(f"insmod /modules/vdiport.ko && {OPEN}")
            client.step("agent", can=[BY_DEMAND], seconds=STEP_SECONDS)
            # The client answers with what it can.
            scene.run("test $(head -c 8 <&5 | wc -c) = 8")
            client.step("copy", text="x" * TEXT_BYTES)
            scene.run(f"{agent(CLIPBOARD_REQUEST, UTF8_TEXT)}; test $(head -c {TEXT_BYTES} <&5 | wc -c) = {TEXT_BYTES}")
            scene.run("exec 5>&-")
            # The server hangs up on nonsense, and listens again.
            scene.run("head -c 300000 /dev/urandom >/dev/vdiport0; true")
            scene.run(OPEN)
            client.step("agent", can=[BY_DEMAND], seconds=STEP_SECONDS)
            scene.run("exec 5>&-; rmmod vdiport")
            return scene.finish()

    def sleeping(self) -> str:
        """The drivers' part of suspending to memory and of hibernation, with both devices in use."""
        with self._scene("sleeping") as scene:
            scene.begin()
            scene.attached("client")
            scene.run("insmod /modules/vdiport.ko && exec 5<>/dev/vdiport0")
            before = scene.size("before", 1024, 768)
            scene.run("echo devices >/sys/power/pm_test")
            for state in ("freeze", "freeze", "disk"):
                scene.run(f"echo {state} >/sys/power/state")
                after = scene.size(f"after {state}", 1024, 768)
                expect(after["hash"] == before["hash"], f"another picture after {state}")
            scene.run("exec 5>&-; rmmod vdiport")
            return scene.finish()

    def console(self) -> "CheckedConsole":
        """The checks of the console suite."""
        return CheckedConsole(self._program, self._label, self._image)


class CheckedConsole(Console):
    """The console suite's checks on one of our images."""

    def __init__(self, program: Path, label: str, images: dict[str, str]) -> None:
        self._program = program
        self._image = images
        self._driver = OURS
        self._label = f"{label} console"

    def _scene(self, name: str, paused: bool = False, **config) -> CheckedScene:
        return CheckedScene(f"{self._label}-{name}".replace(" ", "-"), self._program, self._image, paused, **config)


def plain(program: Path) -> Checks:
    """On Debian's kernel."""
    return Checks(program, "plain", image.plain())


def checked(program: Path) -> Checks:
    """On the kernel that looks for faults."""
    return Checks(program, "kasan", image.checked())
