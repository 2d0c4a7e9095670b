"""The framebuffer console of qxl.ko and of our driver: clients at all times, the driver loaded again, a reboot, two devices."""

import re
from dataclasses import dataclass
from pathlib import Path

from harness import nested
from harness.vm import expect

from .scene import Scene

READY = r"^caraway-guest: ready$"
# Debian's qxl.ko does not free its interrupt handler; this does, so that loading it again does not depend on luck.
LEAKED_IRQ = nested.CHECKOUT / "images" / "modules" / "free-leaked-irq"
# A few hundred lines in two colours: the screen scrolls all the time.
DRAW = (
    r"i=0; while [ $i -lt {count} ]; do printf '\033[3%dmline %d of many\033[m\n' $((i % 7 + 1)) $i; i=$((i + 1)); done"
    " >/dev/tty1"
)


def boot_of(image: dict[str, str], *words: str) -> dict:
    """The configuration's `[boot]` for an image, with `words` added to its command line."""
    cmdline = " ".join([image["cmdline"], *words])
    return {"kernel": image["vmlinuz"], "initramfs": image["initramfs"], "cmdline": cmdline}


@dataclass(frozen=True)
class Driver:
    """A display driver for QXL: its module, what images/build needs to have it loaded, and how it leaves the device."""

    module: str
    options: tuple[str, ...] = ()
    is_blank_without: bool = False


KERNELS = Driver("qxl", is_blank_without=True)
OURS = Driver("caraway_qxl", ("--instead", f"qxl={nested.CHECKOUT / 'guest-drivers' / 'linux' / 'qxl'}"))


class Console:
    """Checks of the console image with one of Debian's kernels."""

    def __init__(self, program: Path, kernel: str | None = None, driver: Driver = KERNELS) -> None:
        self._program = program
        options = [*driver.options, *(["--kernel", kernel] if kernel else [])]
        self._image = nested.image("test-console", "--module", str(LEAKED_IRQ), *options)
        self._driver = driver
        self._label = " ".join([*([driver.module] if driver is not KERNELS else []), kernel or "console"])

    def _scene(self, name: str, paused: bool = False, **config) -> Scene:
        return Scene(f"{self._label}-{name}", self._program, {"boot": boot_of(self._image), **config}, paused)

    def clients(self) -> str:
        """Clients from before the first instruction, while the guest draws, and afterwards."""
        with self._scene("clients", paused=True) as scene:
            before = scene.attached("before")
            expect(not scene.guest.serial(), "the guest runs already")
            scene.qmp.execute("cont")
            booting = scene.attach("booting")
            scene.guest.wait_serial(READY)
            release = scene.guest.ask("echo release $(uname -r)", r"^release (\S+)$")[1]
            scene.guest.ask("(" + DRAW.format(count=600) + "; echo drawn) &", r"^")
            scene.attached("during")
            scene.guest.wait_serial(r"^drawn$")
            scene.attached("after")
            scene.size("after drawing", 1024, 768)
            for client in (before, booting):
                text = client.step("console")["lines"]
                expect(any("line 599 of many" in line for line in text), f"{client.name} shows {text}")
            return f"{release}; {scene.finish()}"

    def again(self) -> str:
        """The driver is unloaded and loaded again, then the guest reboots in place; clients come in the middle and stay."""
        with self._scene("again") as scene:
            scene.guest.wait_serial(READY)
            client = scene.attached("attached")
            scene.size("before unloading", 1024, 768)
            self._reload(scene)
            scene.attached("loaded-again")
            scene.size("loaded again", 1024, 768)
            scene.amid("rebooting", "reboot -f", READY)
            scene.attached("rebooted")
            scene.size("after the reboot", 1024, 768)
            text = client.step("console")["lines"]
            expect(any("caraway-guest: shell" in line for line in text), f"the client shows {text}")
            return scene.finish()

    def _reload(self, scene: Scene) -> None:
        module = self._driver.module
        irq = scene.guest.ask("grep qxl /proc/interrupts; echo listed", rf"^ *(\d+):.* {module}\nlisted$")[1]
        # Only a driver nobody uses can be unloaded: the console is given up first.
        leak = self._driver is KERNELS
        scene.amid(
            "unloading",
            f"rmmod {module} && {'rmmod free_leaked_irq && ' if leak else ''}echo unloaded",
            r"^unloaded$",
            first="for c in /sys/class/vtconsole/*; do grep -q 'frame buffer' $c/name && echo 0 >$c/bind; done"
            + (f"; insmod /modules/free_leaked_irq.ko irq={irq}" if leak else ""),
        )
        left = scene.guest.ask("grep qxl /proc/interrupts; echo listed", r"^((?:.*qxl\n)*)listed$")[1]
        expect(not left, f"a handler is left behind: {left}")
        if self._driver.is_blank_without:
            scene.blank("without a driver")
        else:
            scene.same("without a driver")
        scene.amid(
            "loading",
            "echo 0 >/sys/class/graphics/fbcon/cursor_blink; printf '\\033cloaded again\\n' >/dev/tty1; echo loaded",
            r"^loaded$",
            first=f"insmod /modules/{module}.ko",
        )

    def devices(self) -> str:
        """Two QXL devices, a display each: both have a framebuffer and what is drawn on it is shown."""
        with self._scene("devices", display={"devices": 2}) as scene:
            scene.guest.wait_serial(READY)
            scene.attached("first", 0)
            scene.attached("second", 1)
            count = scene.guest.ask("echo framebuffers $(grep -c qxl /proc/fb)", r"^framebuffers (\d)$")[1]
            expect(count == "2", f"{count} framebuffers")
            # The driver makes the very first primary surface before it counts its heads, 64x64. Where no console sets
            # the mode a second time, as on the second device, unblanking does.
            scene.guest.ask(
                "for on in 1 0; do echo $on >/sys/class/graphics/fb1/blank; done; echo unblanked", r"^unblanked$"
            )
            scene.guest.ask("head -c 1000000 /dev/urandom >/dev/fb1; echo filled", r"^filled$")
            first, second = scene.size("first display", 1024, 768, 0), scene.size("second display", 1024, 768, 1)
            expect(first["hash"] != second["hash"], "both displays show the same")
            interrupts = scene.guest.ask("grep qxl /proc/interrupts; echo all", r"^((?:.*qxl.*\n)+)all$")[1]
            counts = [int(number) for number in re.findall(r":\s+(\d+)", interrupts)]
            expect(counts and max(counts) < 20_000, f"interrupts: {interrupts}")
            return f"{counts} interrupts; {scene.finish()}"

    def checks(self, names: list[str]) -> list:
        """The named checks, each with what it is called in the report."""
        return [(f"{self._label}: {name}", getattr(self, name)) for name in names]
