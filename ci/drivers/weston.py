"""Weston on our QXL driver: it draws with pixman, and its pointer is part of the picture."""

import time

from harness.vm import expect

from .session import SECONDS, Session

# Of the head there is before the client has asked for any.
FIRST = (1024, 768)


class Weston(Session):
    """The image with Weston, which is started by one of the checks."""

    def weston(self) -> None:
        self.ask("desktop", r"^desktop weston up after")
        bare = self.exact("Weston")
        # What is typed goes to the terminal once it is there.
        self.ask("weston-terminal >/run/terminal.out 2>&1 & echo started", r"^started$")
        empty = self._changed("a terminal", bare)
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
        """The picture is another one where it has gone, and the same where it comes back."""
        seen = self.exact("the pointer")
        pictures = []
        for moves in ([(-1000, -1000)], [(-1000, -1000), (300, 200)], [(-1000, -1000)]):
            for across, down in moves:
                self.client.step("motion", dx=across, dy=down)
            seen = self._changed("the pointer", seen)
            pictures.append(seen)
        # It may be seen on its way.
        limit = time.monotonic() + SECONDS
        while (last := self.exact("the pointer is back")) != pictures[0]:
            expect(time.monotonic() < limit, f"the pointer is back, and the picture is {last}, not {pictures[0]}")

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
        """Weston keeps the mode of a head that stays: the first one goes, beside a second, and comes in another size."""
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
