"""A Debian desktop in the page, in Chromium: one VM and one browser for all checks."""

import base64
import contextlib
import hashlib
import random
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy

from harness import nested
from harness.browser import Browser
from harness.cable import Cable
from harness.vm import Failed, expect
from spice import picture

from .console import READY, boot_of
from .scene import FAILED, ROUNDS, STILL_MS, Scene

TICKET = "correct horse"
# What the page calls its parts.
FIELD = {"label": "Ticket"}
CONNECT = {"role": "button", "name": "Connect", "exact": True}
VIEW = {"role": "button", "name": "View", "exact": True}
FILES = {"role": "button", "name": "Files", "exact": True}
ADD = {"role": "button", "name": "Add a screen"}
SCREEN = 1
# Gives keyboard and pointer back to the page.
RELEASE = "Control+Alt"
# The window that fits a screen of 1024x768, whose pixels are pixels of the window then. The toolbar is above it.
BAR = 46
WINDOW = (1024, 768 + BAR)
# Milliseconds. Of keys that come quicker than a guest in the nested host takes them, evdev drops some.
HOLD = 50
# As many looks at whether something is so in the guest.
LOOKS = 200
# Places in the terminal, which is the image's, and beside it.
IN_TERMINAL, BESIDE = (200, 200), (900, 700)
FILE_BYTES = 5 << 20
TEXT = "What was copied here: äöü, 10 €, and\na second line."


class Desktop:
    """The checks, on one VM with a ticket that starts with the first of them."""

    def __init__(self, program: Path, driver: str, stack: contextlib.ExitStack) -> None:
        self._program, self._driver, self._stack = program, driver, stack
        self._is_tried = False
        self._is_up = False
        self._is_agent_up = False
        self._compared = 0

    def _up(self) -> None:
        """The desktop is there, and the page shows it."""
        if self._is_up:
            return
        expect(not self._is_tried, "the desktop did not come up")
        self._is_tried = True
        nested.RESULTS.mkdir(parents=True, exist_ok=True)
        self.browser = self._stack.enter_context(Browser(seconds=nested.BOOT_SECONDS))
        ticket = self._stack.enter_context(tempfile.NamedTemporaryFile("w", dir=nested.RESULTS, encoding="utf-8"))
        ticket.write(TICKET)
        ticket.flush()
        image = nested.image("test-desktop")
        config = {
            "boot": boot_of(image),
            "disk": [{"path": image["disk"], "readonly": True}],
            "spice": {"ticket.file": ticket.name},
            "web": {},
        }
        self.scene = self._stack.enter_context(Scene(f"browser-{self._driver}", self._program, config))
        self.guest = self.scene.guest
        self.cable = self._stack.enter_context(Cable(self.guest.web_port))
        self.guest.wait_serial(READY)
        self._enter()
        self.guest.ask(f"desktop {self._driver} &", r"^desktop \S+ up after")
        self._is_up = True

    def _enter(self) -> None:
        """A ticket that is wrong, then the right one, up to the screen."""
        self.browser.step("open", url=f"http://127.0.0.1:{self.cable.port}/")
        self._sized(*WINDOW)
        for ticket in ("guess", ""):
            self.browser.step("fill", **FIELD, text=ticket)
            self.browser.step("click", **CONNECT)
            self.browser.step("shown", role="alert", text="icket")
        self.browser.step("fill", **FIELD, text=TICKET)
        self.browser.step("click", **CONNECT)
        self.browser.step("screens", count=1)

    def _sized(self, width: int, height: int) -> None:
        self.browser.step("size", width=width, height=height)

    def _agent(self) -> None:
        """The desktop is up with spice-vdagent on it."""
        self._up()
        if not self._is_agent_up:
            self.guest.ask("agent", r"^agent started$")
            # What it is told before Xorg has its tablet is lost.
            self._until("grep -q 'XINPUT: Adding extended input device .spice vdagent tablet' /run/Xorg.log")
            self._is_agent_up = True

    def _quiet(self) -> None:
        """The browser has had nothing to complain about."""
        said = self.browser.complaints()
        expect(not said, f"the browser says: {said}")

    def _same(self, what: str, *heads: int) -> list[dict]:
        """Waits until the screen is at rest, and each of the page's is what the canvas has; their screenshots."""
        for _ in range(ROUNDS):
            self._still()
            shots = [self.scene.shot(head=head) for head in heads or [0]]
            failed = self._different(shots)
            if failed is None:
                self._compared += len(shots)
                return shots
            number, error = failed
            # A guest that has little of the processor pauses in the middle of what it draws.
            if self.scene.shot(head=(heads or [0])[number - 1])["hash"] == shots[number - 1]["hash"]:
                break
        FAILED.mkdir(parents=True, exist_ok=True)
        page = FAILED / f"browser-{self._driver}.png"
        canvas = page.with_name(f"browser-{self._driver}-canvas.png")
        self.browser.step("picture", path=str(page))
        canvas.write_bytes(Path(shots[number - 1]["file"]).read_bytes())
        raise Failed(f"{what}: screen {number}: {error} ({page} beside {canvas})")

    def _different(self, shots: list[dict]) -> tuple[int, str] | None:
        """The first screen of the page that does not become what a screenshot has, and what it is."""
        for number, shot in enumerate(shots, 1):
            answer = self.browser.ask("hash", screen=number, wanted=shot["hash"])
            if not answer["ok"]:
                return number, answer["error"]
        return None

    def _still(self) -> None:
        """Waits until the screen is at rest."""
        still = {"device": 0, "still": STILL_MS, "timeout": int(nested.BOOT_SECONDS)}
        self.scene.qmp.execute("x-caraway-wait", still, seconds=nested.BOOT_SECONDS + 60)

    def _until(self, condition: str, then: str = "true") -> None:
        """Waits until something is so in the guest."""
        # An end to it, so that the guest can be asked other things.
        loop = f"left={LOOKS}; until {condition} || [ $left = 0 ]; do left=$((left - 1)); sleep 0.2; done"
        found = self.guest.ask(f"{loop}; {then}; echo looks left: $left", r"^looks left: (\d+)$")
        expect(found[1] != "0", f"in the guest it is not so: {condition}")

    def _pointer_at(self, x: str, y: str) -> None:
        """Waits until the guest's pointer is there, by patterns."""
        self._until(f"xdotool getmouselocation | grep -Eq 'x:({x}) y:({y}) '")

    def _type(self, text: str) -> None:
        self.browser.step("type", text=text, hold=HOLD)

    def _typed(self, word: str) -> None:
        """Has the terminal say a word that is typed there."""
        start = len(self.guest.serial())
        self._type(f"echo {word} >/dev/ttyS0\n")
        self.guest.wait_serial(rf"^{word}$", start=start)

    def tickets(self) -> None:
        self._up()
        self._quiet()

    def picture(self) -> str:
        self._up()
        shot = self._same("the desktop")[0]
        seen = (shot["width"], shot["height"])
        expect(seen == (1024, 768), f"the screen is {seen}")
        self._quiet()
        return shot["hash"]

    def typing(self) -> None:
        """What is typed is in the terminal, and what that scrolls through is shown."""
        self._up()
        self.browser.step("focus", role="application")
        # The terminal has the keyboard when its window is drawn.
        self._still()
        self._type("ls -l --color=always /etc; seq 300\n")
        self._still()
        self._typed("typed-2000")
        shot = self._same("a terminal full of text")[0]
        colours = len({tuple(pixel) for row in picture.load(shot["file"]).pixels[::4, ::2].tolist() for pixel in row})
        expect(colours > 8, "there is no terminal with a frame")
        self._quiet()

    def server_mode(self) -> None:
        """Without an agent the page takes the pointer, and the guest's moves as far as there is room for it."""
        self._up()
        self.browser.step("move", screen=SCREEN, x=500, y=400)
        for what in ("down", "up"):
            self.browser.step("mouse", what=what, button="left")
        self.browser.step("lock", wanted=True)
        # How far Xorg has it go is its own affair, and beyond the edges it does not go.
        for x, y, there in ((-490, -440, ("0", "0")), (500, 440, ("1023", "767"))):
            for _ in range(3):
                self.browser.step("by", x=x, y=y)
                self.browser.step("by", x=0, y=0)
            self._pointer_at(*there)
        self.browser.step("press", key=RELEASE)
        self.browser.step("lock", wanted=False)
        self._quiet()

    def client_mode(self) -> None:
        """With the agent the guest's pointer is where the browser's is."""
        self._agent()
        self.browser.step("cursor", screen=SCREEN, wanted="url(")
        for x, y in ((100, 100), (700, 350), (33, 555)):
            self.browser.step("move", screen=SCREEN, x=x, y=y)
            # Of its tablet Xorg takes a pixel less.
            self._pointer_at(f"{x - 1}|{x}", f"{y - 1}|{y}")
        # Openbox's menu: on the desktop, by the right button.
        before = self._same("before the menu")[0]["hash"]
        self.browser.step("move", screen=SCREEN, x=BESIDE[0], y=400)
        for what in ("down", "up"):
            self.browser.step("mouse", what=what, button="right")
        self.browser.step("hash", screen=SCREEN, other=before)
        expect(self._same("a menu")[0]["hash"] != before, "there is no menu")
        self.browser.step("press", key="Escape")
        self.browser.step("hash", screen=SCREEN, wanted=before)
        self._quiet()

    def cursor(self) -> None:
        """Over the terminal the browser's pointer has another shape than over the desktop, and each its hot spot."""
        self._agent()
        self._pointed(*BESIDE)
        beside = self.browser.step("cursor", screen=SCREEN, wanted="url(")["cursor"]
        self._pointed(*IN_TERMINAL)
        over = self.browser.step("cursor", screen=SCREEN, other=beside)["cursor"]
        self._pointed(*BESIDE)
        self.browser.step("cursor", screen=SCREEN, wanted=beside)
        # xterm's is a beam whose middle points, a pixel or so wide.
        spots = [re.search(r"\) (\d+) (\d+)", text) for text in (beside, over)]
        expect(all(spots), f"no hot spots in {beside}, {over}")
        expect(int(spots[1][2]) > 2, f"the beam's hot spot is {spots[1].groups()}")
        self._quiet()

    def _pointed(self, x: int, y: int) -> None:
        self.browser.step("move", screen=SCREEN, x=x, y=y)
        self._pointer_at(f"{x - 1}|{x}", f"{y - 1}|{y}")

    def resize(self) -> str:
        """The guest's screen follows the window, and is pixel for pixel in it."""
        self._agent()
        self._follow(True)
        sizes = []
        for width, height in ((1280, 800), (900, 700), WINDOW):
            self._sized(width, height)
            mode = f"{width}x{height - BAR}"
            self._until(f"xrandr | grep -q '^ *{mode} .*+'", "xrandr --output Virtual-1 --auto")
            shot = self._same(f"a window of {width}x{height}")[0]
            expect(f"{shot['width']}x{shot['height']}" == mode, f"the screen is {shot['width']}x{shot['height']}, not {mode}")
            (screen,) = self.browser.step("screens", count=1)["screens"]
            seen = (screen["width"], screen["height"])
            expect(seen == (width, height - BAR), f"in a window of {width}x{height} the screen has {seen}")
            sizes.append(mode)
        self._follow(False)
        self._quiet()
        return ", ".join(sizes)

    def _follow(self, does: bool) -> None:
        """Whether the guest's screen follows the window."""
        self.browser.step("click", **VIEW)
        self.browser.step("click", label="Resize the guest" if does else "Fit into the window")
        self.browser.step("click", **VIEW)

    def text(self) -> None:
        """What is copied beside the page is pasted in the guest, and the other way."""
        self._agent()
        self.browser.step("copy", text=TEXT)
        self._until("xclip -selection clipboard -o -t TARGETS 2>/dev/null | grep -q UTF8")
        wanted = hashlib.md5(TEXT.encode()).hexdigest()
        seen = self._sum("xclip -selection clipboard -o")
        expect(seen == wanted, f"the guest has other text: {seen}, not {wanted}")
        self.guest.ask("printf 'of the guest' | xclip -selection clipboard -i; echo copied", r"^copied$")
        self.browser.step("pasted", wanted="of the guest")
        self._quiet()

    def image(self) -> None:
        """The same with pictures."""
        self._agent()
        with tempfile.TemporaryDirectory(prefix="caraway-") as folder:
            file = Path(folder) / "picture.png"
            self._random(file, 400, 300)
            # Browsers write pictures anew.
            copied = self.browser.step("copyPicture", path=str(file))["png"]
            wanted = hashlib.md5(base64.b64decode(copied)).hexdigest()
            self._until("xclip -selection clipboard -o -t TARGETS 2>/dev/null | grep -q image/png")
            seen = self._sum("xclip -selection clipboard -o -t image/png")
            expect(seen == wanted, f"the guest has another picture: {seen}, not {wanted}")
            # As long as a line of the terminal may be.
            self._random(file, 20, 20)
            line = base64.b64encode(file.read_bytes()).decode()
            self.guest.ask(f"echo {line} | base64 -d | xclip -selection clipboard -t image/png -i; echo copied", r"^copied$")
            back = Path(folder) / "back.png"
            back.write_bytes(base64.b64decode(self.browser.step("pastedPicture", other=copied)["png"]))
            expect(picture.load(back).same(picture.load(file)), "the browser has another picture")
        self._quiet()

    def files(self) -> str:
        """Files that are chosen, and dropped on the screen, are the guest's."""
        self._agent()
        with tempfile.TemporaryDirectory(prefix="caraway-") as folder:
            for name, how, element in (
                ("chosen file.bin", "attach", {"label": "Files for the guest"}),
                ("dropped: äöü.bin", "drop", {"screen": SCREEN}),
            ):
                if how == "attach":
                    self.browser.step("click", **FILES)
                file = Path(folder) / name
                file.write_bytes(random.Random(name).randbytes(FILE_BYTES))
                self.browser.step(how, **element, path=str(file))
                self.browser.step("shown", css="#files li:last-child", text=name)
                self.browser.step("shown", css="#files li:last-child", text="done")
                seen = self._sum(f"cat '/tmp/files/{name}'")
                wanted = hashlib.md5(file.read_bytes()).hexdigest()
                expect(seen == wanted, f"{name} arrived as another: {seen}, not {wanted}")
        self.browser.step("click", **FILES)
        self._quiet()
        return f"{FILE_BYTES >> 20} MiB each"

    def _random(self, file: Path, width: int, height: int) -> None:
        pixels = numpy.random.default_rng(width).integers(0, 256, (height, width, 3), numpy.uint8)
        picture.Picture(pixels).save(str(file))

    def _sum(self, command: str) -> str:
        """The checksum of what a command prints in the guest."""
        return self.guest.ask(f"{command} | md5sum", r"^([0-9a-f]{32})  -$")[1]

    def reconnects(self) -> None:
        """The last picture stays while the line is cut; what changed meanwhile is there when it is mended."""
        self._up()
        before = self._same("before the cable is cut")[0]["hash"]
        self.cable.cut()
        self.browser.step("shown", role="status", text="econnecting")
        self.guest.ask("xsetroot -solid '#602040'; xdotool type 'seq 10'; echo changed", r"^changed$")
        self.browser.step("hash", screen=SCREEN, wanted=before)
        self.cable.mend()
        after = self._same("the cable is mended")[0]["hash"]
        expect(after != before, "nothing has changed")
        self.browser.step("focus", role="application")
        self._type("\n")
        self._still()
        self._typed("back")
        self._same("typed to after the cable was cut")
        # Connections that fail are among them.
        self.browser.complaints()

    def heads(self) -> str:
        """A second screen that is asked for in the page."""
        self._agent()
        self.browser.step("click", **VIEW)
        self.browser.step("click", **ADD)
        self.browser.step("click", **VIEW)
        self._until(
            "xrandr | grep -q '^Virtual-2 connected'",
            "xrandr --output Virtual-2 --right-of Virtual-1 --mode 1024x768; xsetroot -solid '#402060'",
        )
        terminal = "xterm -geometry 60x10+1300+300 +bc -e sh -c 'seq 9; echo there >/dev/ttyS0; cat'"
        self.guest.ask(f"{terminal} &", r"^there$")
        screens = self.browser.step("screens", count=2)["screens"]
        shots = self._same("two heads", 0, 1)
        expect(shots[0]["hash"] != shots[1]["hash"], "both heads show the same")
        self.guest.ask("xrandr --output Virtual-2 --off; echo one head", r"^one head$")
        self.browser.step("screens", count=1)
        self._same("one head again")
        self._quiet()
        return ", ".join(f"{screen['pixels']['width']}x{screen['pixels']['height']}" for screen in screens)

    def made_sense(self) -> str:
        """Last: no drawing was dropped."""
        self._up()
        self.scene.finish()
        return f"{self._compared} pictures compared"

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            (f"browser, {self._driver}: {name}", check)
            for name, check in (
                ("wrong tickets, then the right one", self.tickets),
                ("the picture to the pixel", self.picture),
                ("typing in a terminal", self.typing),
                ("the pointer as a mouse", self.server_mode),
                ("the pointer where it is", self.client_mode),
                ("the pointer's shape", self.cursor),
                ("the guest follows the window", self.resize),
                ("text both ways", self.text),
                ("pictures both ways", self.image),
                ("files chosen and dropped", self.files),
                ("the line is cut and mended", self.reconnects),
                ("two heads", self.heads),
                ("every drawing made sense", self.made_sense),
            )
        ]
