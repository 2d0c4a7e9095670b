"""Debian's spice-vdagent on the desktop, and spice-gtk."""

import hashlib
import random
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
# Selections: clipboard, primary.
CLIPBOARD, PRIMARY = 0, 1
TEXT = "What was copied here: äöü, 10 €, and\na second line."


class Agent:
    """One session with the agent."""

    def __init__(self, program: Path, file_mib: int) -> None:
        self._program = program
        self._file_mib = file_mib

    def session(self) -> str:
        """Clipboard both ways, a file, the window's size, the pointer."""
        image = nested.image("desktop")
        config = {
            "boot": boot_of(image),
            "disk": [{"path": image["disk"], "readonly": True}],
        }
        with Scene("agent", self._program, config) as scene:
            self._scene = scene
            scene.guest.wait_serial(READY)
            scene.guest.ask("desktop modesetting &", r"^desktop \S+ up after")
            client = self._client = scene.attached("client")
            # The server stands in for the agent until there is one.
            client.step("agent", can=[MONITORS_CONFIG], seconds=nested.BOOT_SECONDS)
            self._sized(1152, 720)
            scene.guest.ask("agent", r"^agent started$")
            client.step("agent", can=[MOUSE_STATE, BY_DEMAND, SELECTION], seconds=nested.BOOT_SECONDS)
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
        self._scene.guest.ask(
            f"until xrandr | grep -q '^ *{mode} .*+'; do sleep 0.2; done; xrandr --output Virtual-1 --auto; echo sized",
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
