"""Xorg on our QXL driver."""

import time

from harness.vm import expect
from spice import picture

from .session import SECONDS
from .themes import Themes

# The keyboard's interrupt.
KEYBOARD = 1
SHIFT = 0x2A


class Xorg(Themes):
    """The desktop image, in which Xorg is started by one of the checks."""

    def xorg(self) -> None:
        self.ask("desktop modesetting &", r"^desktop \S+ up after")
        self.exact("Xorg")
        self.client.step("text", text="seq 200; echo typed >/dev/ttyS0\n", pause=0.05)
        self.guest.wait_serial(r"^typed$")
        self.exact("a terminal")
        for name in ("off", "on"):
            self.ask(f"xset dpms force {name}; echo screen {name}", rf"^screen {name}$")
        self.exact("the screen is on again")

    def sizes(self) -> None:
        """The desktop is as large as the client wants it."""
        for width, height in ((1280, 800), (801, 601), (1366, 768), (1024, 768)):
            self.client.step("want-monitor", width=width, height=height)
            self.ask(
                f"until xrandr | grep -q '^ *{width}x{height} .*+'; do sleep 0.2; done; xrandr --output Virtual-1 --auto;"
                " echo sized",
                r"^sized$",
            )
            seen = self.exact(f"{width}x{height}")
            expect(seen[0][:2] == (width, height), f"the screen is {seen[0][0]}x{seen[0][1]}, not {width}x{height}")

    def heads(self) -> None:
        self.ask(
            "xrandr --addmode Virtual-2 800x600; xrandr --output Virtual-2 --right-of Virtual-1 --mode 800x600;"
            " xsetroot -solid '#402060'; xterm -geometry 60x10+1100+100 +bc -e sh -c 'seq 9; echo there >/dev/ttyS0; cat' &",
            r"^there$",
        )
        self.client.step("monitors", count=2, seconds=SECONDS)
        self.exact("two heads", heads=2)
        self.ask("xsetroot -solid '#204020'; echo drawn", r"^drawn$")
        self.exact("both drawn", heads=2)
        self.ask("xrandr --output Virtual-2 --off; echo off", r"^off$")
        self.client.step("monitors", count=1, seconds=SECONDS)
        self.exact("one head again")

    def client_heads(self) -> None:
        """The client adds a head, has it in another size, and takes it away; the desktop follows."""
        self.client.step("want-monitor", number=0, width=1024, height=768)
        for width, height in ((800, 600), (641, 481)):
            self.client.step("want-monitor", number=1, x=1024, width=width, height=height)
            modes = "xrandr | sed -n '/^Virtual-2 connected/,/^Virtual-3/p'"
            self.ask(
                f"until {modes} | grep -q '^ *{width}x{height} .*+'; do sleep 0.2; done;"
                " xrandr --output Virtual-2 --auto --right-of Virtual-1; echo sized",
                r"^sized$",
            )
            seen = self.exact(f"a second head of {width}x{height}", heads=2)
            expect(seen[1][:2] == (width, height), f"the second head is {seen[1][0]}x{seen[1][1]}, not {width}x{height}")
        self.client.step("drop-monitor", number=1)
        self.ask(
            "until xrandr | grep -q '^Virtual-2 disconnected'; do sleep 0.2; done; xrandr --output Virtual-2 --off; echo off",
            r"^off$",
        )
        self.client.step("monitors", count=1, seconds=SECONDS)
        self.exact("without the second head")

    def pointer(self) -> None:
        """Over the background, the text and the corner of a window it has different shapes, and again those it had."""
        places = {"background": "900 700", "text": "200 200", "corner": "41 41"}
        shapes: dict[str, str] = {}
        for name in (*places, *places):
            self.ask(f"xdotool mousemove {places[name]}; echo moved", r"^moved$")
            limit = time.monotonic() + SECONDS
            while True:
                shape = self.client.step("cursor-shape")["shape"]["rgba"]
                if shape == shapes.get(name) or (name not in shapes and shape not in shapes.values()):
                    break
                expect(time.monotonic() < limit, f"over the {name} the client has another place's shape")
            shapes[name] = shape

    def gamma(self) -> None:
        """A table of colours: what the client shows is what it makes of them."""
        self.ask("xsetroot -solid '#808080'; xrandr --output Virtual-1 --gamma 2:1:1; echo set", r"^set$")
        limit = time.monotonic() + SECONDS
        file = self.guest.folder / "gamma.png"
        while True:
            self.client.step("save", out=str(file))
            blue, green, red = (int(part) for part in picture.load(str(file)).pixels[-1, -1])
            # 255 * (128 / 255) ** (1 / 2)
            if (green, blue) == (128, 128) and abs(red - 181) <= 1:
                break
            expect(time.monotonic() < limit, f"grey with a gamma of 2 for red is {red}, {green}, {blue}")
        self.ask("xrandr --output Virtual-1 --gamma 1:1:1; echo reset", r"^reset$")
        self.exact("colours as they are")

    def idle(self) -> None:
        """Suspend to idle, by the kernel's own test: devices sleep for five seconds."""
        self.ask("echo devices >/sys/power/pm_test; echo freeze >/sys/power/state; echo awake $?", r"^awake 0$")
        self.ask("echo none >/sys/power/pm_test; xsetroot -solid '#603020'; echo drawn", r"^drawn$")
        self.exact("after suspend to idle")

    def sleep(self) -> None:
        """Suspend to idle until a key is pressed at the client: the screen is black, and then as it was."""
        before = self.exact("before it sleeps")
        start = self._falls_asleep("freeze")
        file = self.guest.folder / "asleep.png"
        limit = time.monotonic() + SECONDS
        while True:
            self.client.step("save", out=str(file))
            if not picture.load(str(file)).pixels.any():
                break
            expect(time.monotonic() < limit, "the screen of a system that is to sleep is not black")
        limit = time.monotonic() + SECONDS
        expect(not self.guest.reached(r"^awake", start), "the system does not sleep")
        # A key that comes while the devices fall asleep, one after the other, wakes nobody.
        while not self.guest.reached(r"^awake", start):
            self.client.step("key", scancode=SHIFT)
            expect(time.monotonic() < limit, "no key wakes the system")
            time.sleep(1)
        self._awake(before, start)
        woke = self.ask("echo woken by $(cat /sys/power/pm_wakeup_irq)", r"^woken by (\d*)$")[1]
        expect(woke == str(KEYBOARD), f"interrupt {woke or 'none'} woke the system, not the keyboard's")

    def s3(self) -> None:
        """Suspend to memory: the device loses everything. QEMU wakes it."""
        before = self.exact("before it sleeps")
        with self.guest.qmp() as qmp:
            start = self._falls_asleep("mem")
            qmp.event("SUSPEND", SECONDS)
            qmp.execute("system_wakeup")
            qmp.event("WAKEUP", SECONDS)
        self._awake(before, start)

    def _falls_asleep(self, state: str) -> int:
        """Where the serial line's output goes on."""
        start = len(self.guest.serial())
        self.guest.send(f"echo {state} >/sys/power/state; echo awake $?")
        return start

    def _awake(self, before: list, start: int) -> None:
        self.guest.wait_serial(r"^awake 0$", SECONDS, start)
        after = self.exact("after it slept")
        expect(after == before, f"the screen was {before}, and is {after}")
        self.ask("xsetroot -solid '#306020'; echo drawn", r"^drawn$")
        drawn = self.exact("drawn on after it slept")
        expect(drawn != before, "nothing is drawn any more")
