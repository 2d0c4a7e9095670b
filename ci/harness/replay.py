"""`caraway replay` under test, watched as a VM is."""

import re
from pathlib import Path

from .vm import SECONDS, Failed, Vm, expect

TRACES = Path(__file__).resolve().parent.parent.parent / "vmm" / "trace" / "tests" / "traces"


class Replay(Vm):
    """A replay that serves SPICE on a port of its own. To be used with `with`; ends the process if it still runs."""

    def __init__(self, program: Path, recording: Path, *arguments: str) -> None:
        super().__init__(program, [])
        self._command = [str(self.program), "replay", str(recording), "--listen", "127.0.0.1:0", *arguments]

    def _read_announcement(self) -> None:
        first = self.process.stdout.readline()
        found = re.fullmatch(r"replay (\S+) \(pid (\d+)\)\n", first)
        if not found:
            code = self.process.wait(SECONDS)
            raise Failed(f"the replay did not start, exit code {code}: {first}{self.errors()}")
        self.name = found[1]
        key, value = self.process.stdout.readline().split()
        self.places = {key: value}

    def at_end(self) -> str:
        """What it says at the end of the recording."""
        line = self.process.stdout.readline().strip()
        expect(line, f"the replay of {self.name} said nothing at its end: {self.errors()}")
        return line
