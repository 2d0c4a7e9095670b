"""A demo VM that moves from process to process: one guest, many processes, over one kind of connection."""

import random
import re
import threading
import time
from pathlib import Path

from harness import scene, vm
from harness.qmp import Qmp
from harness.vm import Failed, expect
from restore.chain import KEYS, Guest, median

SEED = 34
MOVED = 5


class Ferry:
    """The guest's life over all its processes."""

    def __init__(self, program: Path, folder: Path, kind: str, rounds: int) -> None:
        self.program = program
        self.folder = folder
        self.kind = kind
        self.rounds = rounds
        self.chance = random.Random(SEED)
        # Codes of all keys pressed since the guest booted.
        self.pressed: list[int] = []
        self.on_the_way = 0
        self.downtimes: list[float] = []
        self.times: list[float] = []

    def destination(self, *arguments: str) -> vm.Vm:
        """A process that waits for the VM."""
        uri = "tcp:127.0.0.1:0" if self.kind == "tcp" else f"unix:{self.folder}/incoming-{len(self.times)}.sock"
        return vm.Vm(self.program, [*arguments, "--incoming", uri]).__enter__()

    def run(self) -> str:
        """Boots, then moves; what that took."""
        machine = vm.Vm(self.program, []).__enter__()
        target = None
        try:
            machine.serial().wait(r"^demo: ready 1024x768")
            guest = Guest(machine)
            for generation in range(1, self.rounds + 1):
                try:
                    target = self.destination()
                    frozen = generation % 3 == 0
                    hashed = self.live(guest, frozen)
                    self.move(guest, target, not frozen)
                    machine, target = target, None
                    guest = Guest(machine)
                    self.check(guest, hashed)
                except Failed as failure:
                    raise Failed(f"move {generation}: {failure}") from failure
            self.live(guest, True)
            self.compare(guest)
            machine.client("wait-hash", guest.hash())
            guest.quit()
        finally:
            for left in (machine, target):
                if left is not None:
                    left.__exit__(None, None, None)
        return (
            f"{self.rounds} moves by {self.kind}, {len(self.pressed)} keys, {self.on_the_way} of them on the way,"
            f" {median(self.times):.2f} s each (at most {max(self.times):.2f}), the guest stood still for"
            f" {median(self.downtimes):.0f} ms (at most {max(self.downtimes):.0f})"
        )

    def live(self, guest: Guest, frozen: bool) -> str | None:
        """The guest gets a key and draws it; the checksum of its picture when that is to stand still."""
        guest.serial.ask("go", r"^going")
        self.press(guest.qmp)
        guest.wait_keys(len(self.pressed))
        if not frozen:
            return None
        guest.serial.ask("freeze", r"^frozen")
        told, seen = guest.hash(), guest.shot()
        expect(seen == told, f"the canvas has {seen}, the guest says {told}")
        return told

    def press(self, qmp: Qmp) -> bool:
        """Presses a key and lets it go; whether the VM took it."""
        name = self.chance.choice(list(KEYS))
        events = [
            {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": name}}} for down in (True, False)
        ]
        taken = "return" in qmp.ask("input-send-event", {"events": events})
        if taken:
            self.pressed.append(KEYS[name])
        return taken

    def move(self, guest: Guest, target: vm.Vm, typed: bool) -> None:
        """Moves the VM, perhaps while somebody types."""
        before = len(self.pressed)
        typist = threading.Thread(target=self.type, args=(guest.vm.places["control"],))
        began = time.monotonic()
        if typed:
            typist.start()
        said = guest.vm.ctl("migrate", target.places["incoming"])
        self.times.append(time.monotonic() - began)
        found = re.fullmatch(r"moved: \d+ bytes sent in \d+ rounds, the guest stood still for (\d+) ms\n", said.stdout)
        expect(found, f"ctl migrate says {said.stdout!r}")
        self.downtimes.append(float(found[1]))
        if typed:
            typist.join()
        self.on_the_way += len(self.pressed) - before
        code = guest.vm.wait()
        expect(code == MOVED, f"exit code {code} of the source: {guest.vm.errors()}")
        guest.qmp.__exit__()
        guest.serial.close()
        guest.vm.__exit__(None, None, None)

    def type(self, control: str) -> None:
        """Types until the VM has gone; what it took arrives, wherever it is then."""
        try:
            with Qmp(control) as qmp:
                while self.press(qmp):
                    time.sleep(self.chance.uniform(0, 0.02))
        except (Failed, OSError):
            # It has gone.
            return

    def check(self, guest: Guest, hashed: str | None) -> None:
        """The guest is the one that left, and has every key once."""
        if hashed:
            seen, told = guest.shot(), guest.hash()
            expect(seen == told == hashed, f"the canvas has {seen}, the guest says {told}, was {hashed}")
        guest.wait_keys(len(self.pressed))
        expect(guest.qmp.execute("query-status")["status"] == "running", "it does not run")
        if len(self.times) % 10 == 1:
            self.live(guest, True)
            self.compare(guest)

    def compare(self, guest: Guest) -> None:
        """Every key since the guest booted is in its frozen picture, once."""
        text = "".join(f"key {code:x}\nkey {code | 0x80:x}\n" for code in self.pressed)
        wanted, seen = scene.expected_hash(text), guest.shot()
        expect(seen == wanted, f"the picture is {seen}, with all {len(self.pressed)} keys {wanted}")
        told = guest.hash()
        expect(told == wanted, f"the guest says {told}, with all {len(self.pressed)} keys {wanted}")
