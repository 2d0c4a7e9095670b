"""The demo VM the checks share."""

import re
import time
from pathlib import Path

from harness import vm
from harness.qmp import Qmp
from harness.vm import expect

# Set bits of the guest's buttons.
LEFT, RIGHT, MIDDLE = 1, 2, 4


class Demo:
    """A running demo VM, its serial console and a folder for files."""

    def __init__(self, machine: vm.Vm, folder: Path) -> None:
        self.vm = machine
        self.folder = folder
        self.serial = machine.serial()
        self.serial.wait(r"^demo: ready")

    def qmp(self, negotiate: bool = True) -> Qmp:
        return Qmp(self.vm.places["control"], negotiate)

    def frozen_hash(self) -> str:
        self.serial.ask("freeze", r"^frozen")
        return self.serial.ask("hash", r"^hash ([0-9a-f]{16})\r?$")[1]

    def go(self) -> None:
        self.serial.ask("go", r"^going")

    def state(self) -> dict[str, int]:
        """What the guest has seen of its keyboard and mouse."""
        answer = self.serial.ask("state", r"^state (.*)\r?\n")[1]
        return {key: int(value) for key, value in re.findall(r"(\w+)=(-?\d+)", answer)}

    def wait_state(self, seconds: float = vm.SECONDS, **wanted: int) -> None:
        """Waits until the guest has seen so much."""
        limit = time.monotonic() + seconds
        while True:
            state = self.state()
            seen = {key: state[key] for key in wanted}
            if seen == wanted:
                return
            expect(time.monotonic() < limit, f"the guest has seen {seen}, was sent {wanted}")

    def hash(self) -> str:
        return self.vm.ctl("screenshot", "--hash").stdout.strip()
