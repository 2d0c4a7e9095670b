"""Xorg on QXL: a terminal that is typed to, the screen suspended, two heads."""

from pathlib import Path

from harness import nested
from harness.vm import expect
from spice import picture

from .console import KERNELS, READY, Driver, boot_of
from .scene import Scene

# Names of the first two outputs.
KERNEL_OUTPUTS = ("Virtual-1", "Virtual-2")
OWN_OUTPUTS = ("qxl-0", "qxl-1")


class Xorg:
    """One session of Xorg with a driver, with the kernel's or without."""

    def __init__(
        self, program: Path, driver: str, kernel_driver: Driver | None = KERNELS, kernel: str | None = None
    ) -> None:
        self._program = program
        self._driver = driver
        # What is drawn later in a framebuffer of both heads qxl.ko (6.1, 6.12) passes on for the first one only.
        self._is_second_drawn = driver != "modesetting" or kernel_driver is not KERNELS
        # Xorg cannot have video memory that the kernel's console is on.
        self._words = [] if kernel_driver else ["noqxl", "vga=normal"]
        self._outputs = KERNEL_OUTPUTS if kernel_driver else OWN_OUTPUTS
        self._image = [*(kernel_driver.options if kernel_driver else []), *(["--kernel", kernel] if kernel else [])]
        on = [] if kernel_driver is KERNELS else [f"on {kernel_driver.module}" if kernel_driver else "alone"]
        self.label = ", ".join([" ".join([driver, *on]), *([kernel] if kernel else [])])

    def session(self) -> str:
        """The whole session, from before the driver to two heads."""
        image = nested.image("test-desktop", *self._image)
        config = {
            "boot": boot_of(image, *self._words),
            "disk": [{"path": image["disk"], "readonly": True}],
        }
        with Scene(self.label.replace(", ", "-").replace(" ", "-"), self._program, config) as scene:
            before = scene.attached("before")
            scene.guest.wait_serial(READY)
            scene.guest.ask(f"desktop {self._driver} &", r"^")
            scene.attached("during")
            up = scene.guest.wait_serial(r"^desktop (?:\S+ up after (\S+)|: .*)$")[1]
            expect(up, f"Xorg did not start: {scene.guest.serial()[-2000:]}")
            # The terminal has the keyboard when its window is drawn.
            scene.size("the desktop", 1024, 768)
            before.step("text", text="seq 100; echo typed >/dev/ttyS0\n", pause=0.05)
            scene.guest.wait_serial(r"^typed$")
            scene.attached("after")
            drawn = scene.size("a terminal", 1024, 768)
            expect(_colours(drawn["file"]) > 8, "there is no terminal with a frame")
            self._suspend(scene)
            self._two_heads(scene)
            return f"up after {up} s; {scene.finish()}"

    def _suspend(self, scene: Scene) -> None:
        for state in ("off", "on"):
            scene.amid(f"turning-{state}", f"xset dpms force {state}; echo screen {state}", rf"^screen {state}$")
            scene.attached(f"screen-{state}")
            scene.size(f"the screen is {state}", 1024, 768)

    def _two_heads(self, scene: Scene) -> None:
        first, second = self._outputs
        scene.amid(
            "second-head",
            f"xrandr --addmode {second} 1024x768; xrandr --output {second} --right-of {first} --mode 1024x768;"
            " xsetroot -solid '#402060'; echo heads",
            r"^heads$",
        )
        # On the second head, where nothing was before.
        terminal = "xterm -geometry 60x10+1300+300 +bc -e sh -c 'seq 9; echo there >/dev/ttyS0; cat'"
        scene.guest.ask(f"{terminal} &", r"^there$")
        late = scene.attached("two-heads")
        canvas = picture.load(scene.same("two heads")["file"])
        # Where they are is up to the driver: qxl.ko gives each head room for all of a framebuffer both look at.
        told = late.step("monitors", count=2, seconds=60)["monitors"]
        expect([(head["width"], head["height"]) for head in told] == [(1024, 768)] * 2, f"told of {told}")
        for client in scene.clients():
            seen = client.step("monitors", count=2, seconds=60)["monitors"]
            expect(seen == told, f"client {client.name} was told of {seen}, not of {told}")
        for number, head in enumerate(told):
            rows = canvas.pixels[head["y"] : head["y"] + head["height"]]
            part = picture.Picture(rows[:, head["x"] : head["x"] + head["width"]])
            shown = scene.shot(head=number)["file"]
            expect(picture.load(shown).same(part), f"the screenshot of head {number} is not its part of the screen")
            if number == 0 or self._is_second_drawn:
                expect(_colours(shown) > 2, f"nothing is on head {number}")
        scene.amid("one-head-less", f"xrandr --output {second} --off; echo one head", r"^one head$")
        late.step("monitors", count=1, seconds=60)
        # Not 1024x768: qxl.ko keeps the room of a head that was turned off.
        scene.same("one head again")


def _colours(file: str) -> int:
    """How many different pixels there are."""
    return len({tuple(pixel) for row in picture.load(file).pixels[::4, ::2].tolist() for pixel in row})
