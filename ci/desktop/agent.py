"""Debian's spice-vdagent and our agent on the desktop, and spice-gtk."""

import contextlib
import hashlib
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy

from harness import nested
from harness.vm import expect
from spice import picture

from .console import READY, boot_of
from .scene import Scene

# VDAgentClipboardType, and what xclip calls them.
UTF8_TEXT, IMAGE_PNG = 1, 2
# Capabilities: mouse, monitors, clipboard by demand with selections.
MOUSE_STATE, MONITORS_CONFIG, BY_DEMAND, SELECTION = 0, 1, 5, 6
CYCLES = 20
# Selections: clipboard, primary.
CLIPBOARD, PRIMARY = 0, 1
# Our driver of the other way to the host.
VDIPORT = nested.CHECKOUT / "guest-drivers" / "linux" / "vdiport"
# Our agent, built for any guest.
OURS = nested.CHECKOUT / "guest-drivers" / "agent" / "build"
BIND = "/sys/bus/pci/drivers/vdiport"
TEXT = "What was copied here: äöü, 10 €, and\na second line."


class Agent:
    """One session with the agent."""

    def __init__(self, program: Path, file_mib: int, kernel: str | None = None) -> None:
        self._program = program
        self._file_mib = file_mib
        self._kernel = kernel
        # Whether the agent has the screen follow the driver; else the test does.
        self._follows = False

    def session(self) -> str:
        """Clipboard both ways, a file, the window's size, the pointer."""
        with self._desktop("agent") as scene:
            # The server stands in for the agent until there is one.
            self._client.step("agent", can=[MONITORS_CONFIG], seconds=nested.BOOT_SECONDS)
            self._sized(1152, 720)
            scene.guest.ask("agent", r"^agent started$")
            return self._all()

    def ours(self) -> str:
        """The same with our agent, which has the screen follow the window."""
        self._follows = True
        built = subprocess.run([OURS], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        with self._desktop("agent-ours", "--program", built) as scene:
            self._client.step("agent", can=[MONITORS_CONFIG], seconds=nested.BOOT_SECONDS)
            scene.guest.ask(
                "/run/programs/caraway-agent >/run/daemon.out 2>&1 & until [ -S /run/caraway-agent/socket ]; do sleep 0.2; done; "
                "/run/programs/caraway-agent session --folder /tmp/files >/run/session.out 2>&1 & echo agent started",
                r"^agent started$",
            )
            try:
                return self._all()
            finally:
                said = scene.guest.ask("cat /run/daemon.out /run/session.out; ls -la /tmp/files; echo told", r"(?s)(.*)^told$")[1]
                (nested.RESULTS / "agent-ours.log").write_text(said)

    def vdiport(self) -> str:
        """The same by the VDIPort and our driver, which is loaded, unloaded and taken away from the agent."""
        with self._desktop("agent-vdiport", "--module", str(VDIPORT)) as scene:
            guest = scene.guest
            load = "insmod /run/modules/vdiport.ko"
            guest.ask(f"for i in $(seq {CYCLES}); do {load}; rmmod vdiport; done; {load}; echo loaded $?", r"^loaded 0$")
            self._agent_on_vdiport()
            # The daemon opens it for the first agent of a session.
            said = self._all()
            # One opener, and no unloading under it.
            guest.ask("head -c 1 /dev/vdiport0 2>&1; echo asked", r"Device or resource busy[^$]*^asked$")
            guest.ask("rmmod vdiport 2>&1; echo asked", r"in use[^$]*^asked$")
            # The device goes and comes back while the agent has it.
            device = guest.ask(f"basename {BIND}/0000:*", r"^(0000:\S+)$")[1]
            guest.ask(f"echo {device} >{BIND}/unbind; echo gone", r"^gone$")
            self._client.step("agent", can=[MONITORS_CONFIG], seconds=nested.BOOT_SECONDS)
            guest.ask("pkill spice-vdagent; while pgrep spice-vdagentd; do sleep 0.1; done; echo ended", r"^ended$")
            guest.ask(f"echo {device} >{BIND}/bind; echo back", r"^back$")
            self._agent_on_vdiport()
            self._client.step("agent", can=[MOUSE_STATE, BY_DEMAND, SELECTION], seconds=nested.BOOT_SECONDS)
            self._text()
            guest.ask("dmesg -l err,warn | grep -i -A20 vdiport; echo looked", r"^looked$")
            return said

    @contextlib.contextmanager
    def _desktop(self, name: str, *options: str) -> Iterator[Scene]:
        """The desktop is up, and a client is there."""
        image = nested.image("test-desktop", *options, *(["--kernel", self._kernel] if self._kernel else []))
        config = {
            "boot": boot_of(image),
            "disk": [{"path": image["disk"], "readonly": True}],
        }
        with Scene(name, self._program, config) as scene:
            self._scene = scene
            scene.guest.wait_serial(READY)
            scene.guest.ask("desktop modesetting &", r"^desktop \S+ up after")
            self._client = scene.attached("client")
            yield scene

    def _agent_on_vdiport(self) -> None:
        daemon = "spice-vdagentd -X -u /dev/uinput -s /dev/vdiport0"
        self._scene.guest.ask(
            f"mkdir -p /run/spice-vdagentd /tmp/files; {daemon}; "
            "until [ -S /run/spice-vdagentd/spice-vdagent-sock ]; do sleep 0.2; done; "
            "spice-vdagent -x -o 0 -f /tmp/files >/run/vdagent.out 2>&1 & echo agent started",
            r"^agent started$",
        )

    def _all(self) -> str:
        """What there is to do with an agent."""
        can = [MOUSE_STATE, BY_DEMAND, SELECTION]
        self._client.step("agent", can=can, seconds=nested.BOOT_SECONDS)
        self._text()
        self._image()
        took = self._file()
        self._size()
        self._pointer()
        return f"{self._file_mib} MiB sent in {took:.1f} s"

    def _sum(self, command: str) -> str:
        """The checksum of what a command prints in the guest."""
        return self._scene.guest.ask(f"{command} | md5sum", r"^([0-9a-f]{32})  -$")[1]

    def _text(self) -> None:
        wanted = hashlib.md5(TEXT.encode()).hexdigest()
        for selection, name in [(CLIPBOARD, "clipboard"), (PRIMARY, "primary")]:
            self._client.step("copy", text=TEXT, selection=selection)
            # The guest hears of it when it does.
            seen = self._sum(f"until xclip -selection {name} -o -t TARGETS 2>/dev/null | grep -q UTF8; do sleep 0.2; done;"
                             f" xclip -selection {name} -o")  # fmt: skip
            expect(seen == wanted, f"the guest has other text in {name}: {seen}, not {wanted}")
        self._scene.guest.ask("printf 'of the guest' | xclip -selection clipboard -i; echo copied", r"^copied$")
        self._client.step("offered", seconds=nested.BOOT_SECONDS)
        pasted = self._client.step("paste", seconds=nested.BOOT_SECONDS)["text"]
        expect(pasted == "of the guest", f"the client has {pasted!r}")

    def _image(self) -> None:
        pixels = numpy.random.default_rng(5).integers(0, 256, (300, 400, 3), numpy.uint8)
        file = self._scene.guest.folder / "copied.png"
        picture.Picture(pixels).save(file)
        wanted = hashlib.md5(file.read_bytes()).hexdigest()
        self._client.step("copy", file=str(file), type=IMAGE_PNG)
        seen = self._sum("until xclip -selection clipboard -o -t TARGETS 2>/dev/null | grep -q image/png; do sleep 0.2; done;"
                         " xclip -selection clipboard -o -t image/png | tee /tmp/copied.png")  # fmt: skip
        expect(seen == wanted, f"the guest has another picture: {seen}, not {wanted}")
        self._scene.guest.ask("xclip -selection clipboard -t image/png -i /tmp/copied.png; echo copied", r"^copied$")
        self._client.step("offered", type=IMAGE_PNG, seconds=nested.BOOT_SECONDS)
        back = self._scene.guest.folder / "pasted.png"
        self._client.step("paste", type=IMAGE_PNG, out=str(back), seconds=nested.BOOT_SECONDS)
        expect(picture.load(str(back)).same(picture.load(str(file))), "the client has another picture")

    def _file(self) -> float:
        file = self._scene.guest.folder / "sent file.bin"
        file.write_bytes(random.Random(3).randbytes(self._file_mib << 20))
        wanted = hashlib.md5(file.read_bytes()).hexdigest()
        took = self._client.step("send-file", file=str(file), seconds=nested.BOOT_SECONDS)["seconds"]
        seen = self._sum("cat '/tmp/files/sent file.bin'")
        expect(seen == wanted, f"the file arrived as another: {seen}, not {wanted}")
        return took

    def _size(self) -> None:
        """The window's size reaches the driver, and is what the screen has when the desktop follows."""
        for width, height in [(1280, 800), (800, 600), (1366, 768)]:
            self._sized(width, height)

    def _sized(self, width: int, height: int) -> None:
        self._client.step("want-monitor", width=width, height=height)
        mode = f"{width}x{height}"
        there = f"^ *{mode} .*[*].*+" if self._follows else f"^ *{mode} .*+"
        follow = "" if self._follows else " xrandr --output Virtual-1 --auto;"
        self._scene.guest.ask(
            f"until xrandr | grep -q '{there}'; do sleep 0.2; done;{follow} echo sized",
            r"^sized$",
        )
        self._scene.size(f"a window of {mode}", width, height)

    def _pointer(self) -> None:
        """In client mode the pointer is where the client has it."""
        self._client.step("want-mouse-mode", client=True)
        for x, y in [(100, 100), (700, 350), (33, 555)]:
            self._client.step("position", x=x, y=y)
            self._client.step("flush")
            # Of its tablet Xorg takes a pixel less.
            there = f"x:({x - 1}|{x}) y:({y - 1}|{y}) "
            self._scene.guest.ask(
                f"until xdotool getmouselocation | grep -Eq '{there}'; do sleep 0.2; done; echo there", r"^there$"
            )
