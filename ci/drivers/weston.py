"""Weston on our QXL driver: it draws with pixman, and its pointer is part of the picture."""

import time
from collections.abc import Callable

import numpy
from harness import nested
from harness.vm import expect
from spice import picture

from .session import SECONDS, Session

# Of the head there is before the client has asked for any.
FIRST = (1024, 768)
# Of a desktop with the terminal so many are black at least, and at most: it comes up out of black.
WINDOW_PIXELS = (200_000, 600_000)
# As large as the pointer.
CORNER = 8


class Weston(Session):
    """The image with Weston, which is started by one of the checks."""

    def weston(self) -> None:
        self.ask("desktop", r"^desktop weston up after")
        self.exact("Weston")
        self.ask("weston-terminal >/run/terminal.out 2>&1 & echo started", r"^started$")
        # It has the keyboard when its window is there, which is black.
        least, most = WINDOW_PIXELS
        self._until(lambda: least < (self._seen() == 0).all(axis=2).sum() < most, "terminal")
        empty = self.exact("a terminal")
        self.client.step("text", text="seq 40; echo typed >/dev/ttyS0\n", pause=0.05)
        self.guest.wait_serial(r"^typed$")
        self._changed("text in the terminal", empty)

    def _changed(self, what: str, before: list, heads: int = 1) -> list:
        """Waits for another picture than `before`, which the client has as well."""
        limit = time.monotonic() + SECONDS
        while (seen := self.exact(what, heads)) == before:
            expect(time.monotonic() < limit, f"{what}: the picture is still {seen}")
        return seen

    def pointer(self) -> None:
        """It goes to the upper left corner, away, and comes back, to the same picture."""
        # Where somebody has the agent's port open libspice takes him for an agent that moves the pointer.
        self.client.step("want-mouse-mode", client=False)
        pictures = []
        for across, down in ((-1000, -1000), (300, 200), (-1000, -1000)):
            self.client.step("motion", dx=across, dy=down)
            is_there = across < 0
            self._until(lambda wanted=is_there: self._is_in_corner() == wanted, f"pointer moved by {across}, {down}")
            pictures.append(self.exact("the pointer"))
        expect(pictures[0] == pictures[2] != pictures[1], f"a pointer that goes and comes back shows {pictures}")

    def _is_in_corner(self) -> bool:
        pixels = self._seen()
        return bool((pixels[:CORNER, :CORNER] != pixels[-1, -1]).any())

    def _seen(self) -> numpy.ndarray:
        """The client's picture."""
        file = self.guest.folder / "seen.png"
        self.client.step("save", out=str(file))
        return picture.load(str(file)).pixels

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + nested.BOOT_SECONDS
        while not condition():
            expect(time.monotonic() < limit, f"no {what}")

    def heads(self) -> None:
        """The client adds a head, takes it away, and has it again in another size; what is drawn goes on to be seen."""
        self._want(0, FIRST)
        for size in ((800, 600), (641, 481)):
            self._want(1, size)
            two = self._sized("two heads", [FIRST, size])
            self.client.step("text", text=f"clear; echo {size[0]} >/dev/ttyS0\n", pause=0.05)
            self.guest.wait_serial(rf"^{size[0]}$")
            self._changed("the terminal beside another head", two, heads=2)
            self._drop(1)
            self._sized("one head again", [FIRST])

    def resized(self) -> None:
        """Weston keeps the mode of a head that stays: the first goes, beside a second, and comes in another size."""
        self._want(1, (800, 600))
        self._sized("two heads", [FIRST, (800, 600)])
        self._drop(0)
        self._sized("the second head alone", [(800, 600)], first=1)
        self._want(0, (1280, 800))
        self._sized("the first one in another size", [(1280, 800), (800, 600)])
        self._drop(1)
        self._sized("the first one alone", [(1280, 800)])

    def _want(self, number: int, size: tuple[int, int]) -> None:
        self.client.step("want-monitor", number=number, x=FIRST[0] * number, width=size[0], height=size[1])

    def _drop(self, number: int) -> None:
        self.client.step("drop-monitor", number=number)
        self.client.step("monitors", count=1, seconds=SECONDS)

    def _sized(self, what: str, sizes: list[tuple[int, int]], first: int = 0) -> list:
        """Waits for heads of these sizes."""
        limit = time.monotonic() + SECONDS
        while True:
            seen = self.exact(what, len(sizes), first)
            if [head[:2] for head in seen] == sizes:
                return seen
            expect(time.monotonic() < limit, f"{what}: {seen}, not {sizes}")
