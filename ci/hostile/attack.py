"""Cases, one after the other, against one page that is never loaded again."""

import collections
import random
import struct
import time

from harness.browser import Browser
from harness.spice import CHANNEL_NOT_AVAILABLE
from harness.vm import SECONDS, Failed, expect

from . import messages, mutations
from .relay import CURSOR, DISPLAY, INPUTS, MAIN, Line, Relay, Rule, Spoiled

# So long a channel may be silent that has been told to wait for something, or for more bytes, until it is cut.
PATIENCE = 1.0
# Between two looks at the page.
LOOK = 0.1
# Messages that a channel has at its begin.
FIRST = {MAIN: 3, DISPLAY: 5, INPUTS: 1, CURSOR: 1}
# What is kept of the VM's own messages: so many of each kind, of so many bytes.
KEPT, KEPT_BYTES = 6, 256 << 10
DRAWING = range(302, 319)


class Attack:
    """A page behind a relay, and what has come of the cases."""

    def __init__(self, browser: Browser, relay: Relay, seed: int) -> None:
        self.browser, self.relay = browser, relay
        self.rng = random.Random(seed)
        self.counts: collections.Counter[str] = collections.Counter()
        # The VM's own messages, by channel, type and, where they draw, the kind of image.
        self.kept: dict[tuple, list[bytes]] = collections.defaultdict(list)

    def keep(self, channel: int, kind: int, body: bytes) -> None:
        """Remembers a message of the VM for later."""
        # The kind of the image of DRAW_COPY is behind its descriptor's id; others are told apart by their length.
        image = body[65] if channel == DISPLAY and kind == 304 and len(body) > 65 else len(body).bit_length()
        kept = self.kept[channel, kind, image]
        if len(kept) < KEPT and len(body) <= KEPT_BYTES:
            kept.append(body)

    # The way back.

    def is_ready(self) -> bool:
        """Every channel is linked, and there has been a picture."""
        lines = [self.relay.line(channel) for channel in (MAIN, DISPLAY, INPUTS, CURSOR)]
        return all(lines) and lines[1].count > 3

    def recover(self) -> None:
        """The server is honest from now: the page comes back by itself, or by what it offers to press."""
        self.relay.rule = None
        limit = time.monotonic() + SECONDS
        while not (self.relay.wait(self.is_ready, LOOK) and self.look("screen")["state"] == "screen"):
            expect(time.monotonic() < limit, f"the page does not come back: {self.look()}")
            if not self.is_ready():
                # Whoever is linked by half is so because of what was spoiled.
                self.look("press")

    def look(self, wanted: str | None = None) -> dict:
        """What the page shows, which takes its main thread; presses what leads on."""
        return self.browser.step("onward", press=wanted == "press")

    def reach(self, wanted: str) -> dict:
        """Looks until the page has come to a state; what it shows then."""
        limit = time.monotonic() + SECONDS
        while (seen := self.look())["state"] != wanted:
            expect(time.monotonic() < limit, f"the page is not {wanted}: {seen}")
        return seen

    def again(self) -> None:
        """Everything is cut, and the page is back."""
        self.relay.cut()
        self.recover()

    # Cases.

    def outcome(self, line: Line, spoiled: Spoiled, number: int | None, refuses: bool) -> str:
        """What the page makes of it: it goes on, also without a channel that the server says is not there, ends, or waits
        for more. It must not be without a word."""
        if number is not None:
            self.relay.wait(lambda: number in line.pongs or not line.is_open, PATIENCE)
            if number in line.pongs:
                return "goes on"
        elif spoiled.then != "stall":
            self.relay.wait(lambda: not line.is_open, LOOK)
        seen = self.look()
        if line.is_open:
            return "waits"
        if refuses and seen["state"] == "screen":
            return "goes on without"
        # The worker has ended the channel; the page may not have heard of it yet.
        limit = time.monotonic() + SECONDS
        while seen["state"] == "screen" and not self.is_ready():
            expect(time.monotonic() < limit, f"no word about the end of a channel: {seen}")
            seen = self.look()
        if seen["state"] in ("ended", "cut"):
            expect(len(seen["words"]) > len("The connection"), f"no reason is given: {seen}")
        return seen["state"]

    def live(self, before: list[messages.Message], message: messages.Message, how: str | None = None) -> str:
        """A spoiled message amid those of a connection that stands."""
        channel, kind, body = message
        if self.relay.line(channel) is None:
            self.again()
            # Sound is linked behind what there has to be.
            self.relay.wait(lambda: self.relay.line(channel) is not None, SECONDS)
        line = self.relay.line(channel)
        expect(line is not None, f"there is no channel {channel}")
        for other, earlier, its in before:
            said = self.relay.line(other)
            if said is not None:
                self.relay.say(said, Spoiled("before", said.framed(earlier, its)))
        spoiled = mutations.spoil(self.rng, line, kind, body, how)
        self.relay.say(line, spoiled)
        number = self.relay.ping(line) if spoiled.framed and spoiled.then == "go" else None
        return self.finish(f"channel {channel}, {spoiled.name}", line, spoiled, number)

    def first(self, channel: int, stage: str, count: int) -> str:
        """A spoiled message, or link reply, of a connection that begins."""
        def spoil(line: Line, kind: int, body: bytes) -> Spoiled:
            if stage == "message":
                return mutations.spoil(self.rng, line, kind, body)
            return mutations.spoil_link(self.rng, line, body)

        self.relay.applied = None
        self.relay.rule = Rule(channel, stage, count, spoil)
        self.relay.cut()
        limit = time.monotonic() + SECONDS
        while not self.relay.wait(lambda: self.relay.applied is not None, LOOK):
            expect(time.monotonic() < limit, f"channel {channel}: the page does not come as far as {stage} {count}")
            self.look("press")
        line, spoiled, number = self.relay.applied
        code = spoiled.data[16:20] if stage == "reply" else spoiled.data[:4]
        refuses = stage != "message" and channel != MAIN and code == struct.pack("<I", CHANNEL_NOT_AVAILABLE)
        result = self.finish(f"channel {channel}, {stage} {count}, {spoiled.name}", line, spoiled, number, refuses)
        if result == "goes on":
            # It may go on without what it has not been told of.
            self.again()
        return result

    def finish(self, name: str, line: Line, spoiled: Spoiled, number: int | None, refuses: bool = False) -> str:
        """Counts a case and gets the page back; a failure names the case."""
        result = "is not known"
        try:
            result = self.outcome(line, spoiled, number, refuses)
            self.counts[result] += 1
            if result != "goes on":
                self.again()
            said = self.browser.complaints() if result != "goes on" or self.rng.random() < 0.1 else []
            expect(not self.unlawful(said), f"the browser says: {said}")
        except Failed as failure:
            raise Failed(f"{name}, after which it {result}: {failure}") from failure
        return result

    @staticmethod
    def unlawful(said: list[str]) -> list[str]:
        """Complaints but for those about connections that fail, which browsers have for every one."""
        return [line for line in said if not line.startswith(("error: WebSocket", "error: Failed to load resource"))]

    def pool(self) -> list[tuple[list[messages.Message], messages.Message]]:
        """All messages there are: the made ones, and those of the VM."""
        pool = [(before, message) for _, before, message in messages.messages()]
        for (channel, kind, _), bodies in sorted(self.kept.items()):
            pool += [([], (channel, kind, body)) for body in bodies]
        return pool

    def said(self) -> str:
        """What came of the cases."""
        return ", ".join(f"{count} {result}" for result, count in sorted(self.counts.items()))


