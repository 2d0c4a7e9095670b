"""Results that outlive a run of the suite, since all of them take hours."""

import json
from pathlib import Path

from .output import Result
from .table import Row


class Kept:
    """Results by program and driver, in a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[str, dict[str, dict]] = {}
        if path is not None and path.is_file():
            self._found = json.loads(path.read_text(encoding="utf-8"))

    def fill(self, row: Row, driver: str) -> bool:
        """Whether there are results of the program; then the row has them."""
        found = self._found.get(row.program, {}).get(driver)
        if found is None:
            return False
        row.results[driver] = {name: Result(*parts) for name, parts in found["subtests"].items()}
        row.kernel[driver] = found["kernel"]
        return True

    def add(self, row: Row, driver: str) -> None:
        """Keeps what the row has of a driver."""
        subtests = {name: [result.outcome, result.reason] for name, result in row.results[driver].items()}
        self._found.setdefault(row.program, {})[driver] = {"subtests": subtests, "kernel": row.kernel[driver]}
        if self._path is not None:
            self._path.write_text(json.dumps(self._found, indent=1) + "\n", encoding="utf-8")
