"""Guests booted from images in the nested host: our drivers, the agent, and the picture that a client has."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy
from desktop.scene import Scene
from harness import nested
from harness.vm import expect
from spice import picture

PICTURES = Path(__file__).resolve().parent / "pictures"
# Of a picture's pixels, how many may be others than in the reference: fonts and versions of programs change.
OTHERS = 0.02
# Capability of an agent that sets monitors.
MONITORS_CONFIG = 1
SIZE = (1024, 768)
# A size that the client asks for, and that the desktop takes.
LATER = (1280, 800)


@dataclass(frozen=True)
class Kind:
    """What is to be seen of a recipe's guest."""

    name: str
    # What the serial line says when it is there, maybe behind a prompt.
    ready: str
    has_login: bool = True
    # A unit of the user that is part of the desktop.
    session: str | None = None


KINDS = {
    kind.name: kind
    for kind in (
        Kind("console", r"^caraway-guest: ready$", has_login=False),
        Kind("console-disk", r"guest login:"),
        Kind("desktop", r"caraway-guest: desktop after (\S+)", session="caraway-agent-session"),
        Kind("wayland", r"caraway-guest: desktop after (\S+)", session="caraway-agent-session"),
    )
}


class Guest:
    """One guest, from power to a picture that is the reference's."""

    def __init__(self, program: Path, kind: Kind, parts: dict[str, str], write: bool) -> None:
        self._program = program
        self._kind = kind
        self._parts = parts
        self._write = write

    def boots(self) -> str:
        config = {
            "memory": "1 GiB" if "disk" in self._parts else "256 MiB",
            "boot": {"kernel": self._parts["vmlinux"], "initramfs": self._parts["initramfs"], "cmdline": self._parts["cmdline"]},
            # Written to a layer in memory.
            "disk": [{"path": self._parts["disk"], "readonly": True}] if "disk" in self._parts else [],
        }
        with Scene(f"image-{self._kind.name}", self._program, config) as scene:
            client = scene.attached("client")
            scene.guest.wait_serial(self._kind.ready)
            if self._kind.has_login:
                scene.guest.wait_serial(r"guest login:")
                scene.guest.ask("guest", r"Password:")
                scene.guest.ask("guest", r"guest@guest:")
            up = self._ask(scene, "cut -d' ' -f1 /proc/uptime", r"[0-9.]+")
            driver = self._ask(scene, "basename $(readlink /sys/class/drm/card0/device/driver)", r"\S+")
            expect(driver == "caraway_qxl", f"the screen is driven by {driver}")
            said = [f"{up} s of uptime at the login"]
            if self._kind.has_login:
                self._drivers(scene)
                # A cursor that blinks would make every other picture a different one.
                self._ask(scene, "echo 0 | sudo tee /sys/class/graphics/fbcon/cursor_blink", "0")
            if self._kind.session:
                said.append(f"desktop after {scene.guest.wait_serial(self._kind.ready)[1]} s")
                client.step("agent", can=[MONITORS_CONFIG], seconds=nested.BOOT_SECONDS)
            said.append(self._looks(scene))
            if self._kind.session:
                client.step("want-monitor", width=LATER[0], height=LATER[1])
                scene.guest.ask(
                    f"until grep -q {LATER[0]}x{LATER[1]} /sys/class/drm/card0-*/modes; do sleep 0.5; done; echo of''fered", "offered"
                )
                self._becomes(scene, *LATER)
                said.append("follows the window")
            return ", ".join([*said, scene.finish()])

    def _ask(self, scene: Scene, command: str, pattern: str) -> str:
        """What a command prints: in two pieces, so that the command itself, which is echoed, is not taken for it."""
        return scene.guest.ask(f'echo "an""swer: $({command})."', rf"answer: ({pattern})\.")[1]

    def _drivers(self, scene: Scene) -> None:
        """Packages as they are to be, the modules by DKMS, and the daemon of the agent that udev has started."""
        states = self._ask(scene, "dpkg-query -W -f '${db:Status-Status} ' caraway-guest-agent caraway-guest-dkms", r"[a-z ]*")
        expect(states.split() == ["installed"] * 2, f"the packages are {states}")
        where = self._ask(scene, "/sbin/modinfo -F filename caraway_qxl vdiport | tr '\\n' ' '", r"[^\r\n]*")
        expect(where.count("/updates/dkms/") == 2, f"the modules are {where}")
        loaded = self._ask(scene, "grep -c -E '^(caraway_qxl|vdiport) ' /proc/modules", r"\d+")
        expect(loaded == "2", f"{loaded} of our 2 modules are loaded")
        expect(self._ask(scene, "grep -c '^qxl ' /proc/modules", r"\d+") == "0", "the kernel's own driver is loaded, too")
        agent = self._ask(scene, "systemctl is-active caraway-agent", r"\w+")
        expect(agent == "active", f"the agent is {agent}")
        failed = self._ask(scene, "systemctl --failed --plain --no-legend | cut -d' ' -f1 | tr '\\n' ' '", r"[^\r\n]*")
        expect(not failed.strip(), f"units failed: {failed}")

    def _looks(self, scene: Scene) -> str:
        """The picture a client shows is the canvas, to the pixel, and the reference's but for some pixels."""
        canvas = scene.size(self._kind.name, *SIZE)
        seen = picture.load(canvas["file"])
        reference = PICTURES / f"{self._kind.name}.png"
        if self._write:
            PICTURES.mkdir(exist_ok=True)
            seen.save(str(reference))
            return f"{reference.name} written"
        expect(reference.is_file(), f"there is no {reference.name}: --write makes it of what is shown, for somebody to look at")
        wanted = picture.load(reference).pixels
        others = numpy.mean((seen.pixels != wanted).any(axis=2))
        # Where little is on the screen, most of that has to be the same.
        drawn = numpy.mean((wanted != wanted[-1, -1]).any(axis=2))
        if others > min(OTHERS, drawn / 4):
            kept = nested.RESULTS / f"image-{self._kind.name}.png"
            shutil.copy(canvas["file"], kept)
            expect(False, f"{others:.1%} of the pixels are others than in {reference.name}: {kept}")
        return f"{others:.2%} of the pixels are others than in the reference"

    def _becomes(self, scene: Scene, width: int, height: int) -> None:
        for _ in range(20):
            canvas = scene.same("another size")
            if (canvas["width"], canvas["height"]) == (width, height):
                return
        expect(False, f"the screen stays {canvas['width']}x{canvas['height']}")
