"""A demo VM that is saved and restored into a new process, again and again: one guest, many processes."""

import random
import re
import shutil
import time
from pathlib import Path

from harness import scene, vm
from harness.qmp import Qmp
from harness.vm import Failed, expect

# Keys of set 1 that print something, and their names in QMP.
KEYS = {"q": 0x10, "w": 0x11, "e": 0x12, "r": 0x13, "a": 0x1E, "s": 0x1F, "d": 0x20, "f": 0x21, "z": 0x2C, "x": 0x2D}
SEED = 21
# Generations between two comparisons with the scene as it is computed here.
COMPARE = 100


class Chain:
    """The guest's life over all its processes."""

    def __init__(self, program: Path, folder: Path, rounds: int) -> None:
        self.program = program
        self.folder = folder
        self.rounds = rounds
        self.chance = random.Random(SEED)
        # Codes of all keys pressed since the guest booted.
        self.pressed: list[int] = []
        self.hash = ""
        self.pauses: list[float] = []
        self.times: list[float] = []

    def run(self) -> str:
        """Boots, then goes through all generations; what they took."""
        machine = vm.Vm(self.program, []).__enter__()
        try:
            machine.serial().wait(r"^demo: ready 1024x768")
            guest = Guest(machine)
            for generation in range(1, self.rounds + 1):
                began = time.monotonic()
                try:
                    self.live(guest, generation)
                    frozen = generation % 2 == 1
                    directory = self.save(guest, generation, frozen)
                    guest.quit()
                    machine = vm.Vm(self.program, ["--incoming", f"file:{directory}"]).__enter__()
                    guest = Guest(machine)
                    self.check(guest, frozen)
                    shutil.rmtree(directory)
                    if generation in (1, self.rounds):
                        machine.client("wait-hash", self.freeze(guest))
                except Failed as failure:
                    raise Failed(f"generation {generation}: {failure}") from failure
                self.times.append(time.monotonic() - began)
            self.live(guest, self.rounds + 1)
            self.compare()
            guest.quit()
        finally:
            machine.__exit__(None, None, None)
        return (
            f"{self.rounds} generations, {len(self.pressed)} keys, {median(self.times):.2f} s each (at most"
            f" {max(self.times):.2f}), saving paused the guest for {median(self.pauses):.1f} ms (at most"
            f" {max(self.pauses):.1f})"
        )

    def live(self, guest: "Guest", generation: int) -> None:
        """The guest is told to go on, gets a key, and draws it."""
        guest.serial.ask("go", r"^going")
        self.press(guest)
        guest.wait_keys(len(self.pressed))
        before, self.hash = self.hash, self.freeze(guest)
        expect(self.hash != before, f"the picture is {before} as before, after key {self.pressed[-1]:#x}")
        if generation % COMPARE == 1:
            self.compare()

    def press(self, guest: "Guest") -> None:
        name = self.chance.choice(list(KEYS))
        events = [
            {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": name}}} for down in (True, False)
        ]
        guest.qmp.execute("input-send-event", {"events": events})
        self.pressed.append(KEYS[name])

    def freeze(self, guest: "Guest") -> str:
        """The checksum of the frozen scene, on which the guest and the canvas agree."""
        guest.serial.ask("freeze", r"^frozen")
        wanted = guest.hash()
        seen = guest.shot()
        expect(seen == wanted, f"the canvas has {seen}, the guest says {wanted}")
        return wanted

    def compare(self) -> None:
        """Every key since the guest booted is in its picture, once."""
        text = "".join(f"key {code:x}\nkey {code | 0x80:x}\n" for code in self.pressed)
        wanted = scene.expected_hash(text)
        expect(self.hash == wanted, f"the picture is {self.hash}, with all {len(self.pressed)} keys {wanted}")

    def save(self, guest: "Guest", generation: int, frozen: bool) -> Path:
        """Saves a frozen guest, or one that runs and has a key on its way."""
        directory = self.folder / f"generation-{generation}"
        if not frozen:
            guest.serial.ask("go", r"^going")
            self.press(guest)
        said = guest.vm.ctl("snapshot", str(directory)).stdout
        found = re.fullmatch(r".*: \d+ bytes, paused for (\S+) ms\n", said)
        expect(found, f"ctl snapshot says {said!r}")
        self.pauses.append(float(found[1]))
        return directory

    def check(self, guest: "Guest", frozen: bool) -> None:
        """The restored guest is the one that was saved."""
        if frozen:
            seen = guest.shot()
            expect(seen == self.hash, f"the restored canvas has {seen}, was {self.hash}")
            told = guest.hash()
            expect(told == self.hash, f"the restored guest says {told}, was {self.hash}")
        guest.wait_keys(len(self.pressed))
        expect(guest.state()["frozen"] == int(frozen), f"frozen is {guest.state()['frozen']}")


class Guest:
    """The guest in one of its processes."""

    def __init__(self, machine: vm.Vm) -> None:
        self.vm = machine
        self.serial = machine.serial()
        self.qmp = Qmp(machine.places["control"])

    def hash(self) -> str:
        return self.serial.ask("hash", r"^hash ([0-9a-f]{16})\r?$")[1]

    def shot(self) -> str:
        return self.qmp.execute("x-caraway-shot", {"hash_only": True})["hash"]

    def state(self) -> dict[str, int]:
        line = self.serial.ask("state", r"^state (keys=.*)\r?\n")[1]
        return {name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", line)}

    def wait_keys(self, count: int) -> None:
        """Waits until the guest has seen all keys that were pressed; it must never see more."""
        limit = time.monotonic() + vm.SECONDS
        while (seen := self.state()["keys"]) != count:
            expect(seen < count and time.monotonic() < limit, f"the guest has seen {seen} keys of {count}")

    def quit(self) -> None:
        self.qmp.execute("quit")
        code = self.vm.wait()
        expect(code == 0, f"exit code {code} after quit: {self.vm.errors()}")
        self.qmp.__exit__()
        self.serial.close()
        self.vm.__exit__(None, None, None)


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
