"""The matrix: features by clients, each cell tried or with the reason why it cannot be."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness import report
from harness.vm import expect

GTK, VIEWER, SPICY, WEB = COLUMNS = ("spice-gtk", "remote-viewer", "spicy-screenshot", "WebSocket")
WIDTH = 120
BEGIN, END = "<!-- matrix -->\n", "<!-- end of the matrix -->\n"

Check = Callable[[], str | None]


@dataclass
class Row:
    """A feature: what is expected, and for each client how that is looked at, or the reason why it cannot be."""

    feature: str
    expected: str
    cells: dict[str, Check | str]
    # Of the clients that were tried: whether it was as expected, and what was found.
    found: dict[str, tuple[bool, str]] = field(default_factory=dict)

    def run(self) -> list[bool]:
        """Tries the cells; one that has neither a way nor a reason has failed."""
        for client in COLUMNS:
            cell = self.cells.get(client, "")
            if not cell:
                self.found[client] = report.attempt(f"{client}: {self.feature}", _empty)
            elif callable(cell):
                self.found[client] = report.attempt(f"{client}: {self.feature}", cell)
        return [ok for ok, _ in self.found.values()]

    def mark(self, client: str, reasons: list[str]) -> str:
        """What the matrix has in a cell; reasons are numbered as they come."""
        if client in self.found:
            return "ok" if self.found[client][0] else "FAILED"
        reason = self.cells[client]
        if reason not in reasons:
            reasons.append(reason)
        return f"- ({reasons.index(reason) + 1})"


def _empty() -> None:
    expect(False, "the cell is empty, and has no reason for it")


def lines(rows: list[Row]) -> tuple[list[list[str]], list[str]]:
    """The matrix with its head, and the reasons of cells that were not tried."""
    reasons: list[str] = []
    head = ["feature", *COLUMNS, "expected"]
    body = [[row.feature, *(row.mark(client, reasons) for client in COLUMNS), row.expected] for row in rows]
    return [head, *body], reasons


def text(rows: list[Row]) -> str:
    """For a terminal, in columns."""
    cells, reasons = lines(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    said = ["  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    said += [f"({number}) {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join(said)


def markdown(rows: list[Row]) -> str:
    """For a document: the matrix, its reasons, and what clients said where something was to be refused."""
    cells, reasons = lines(rows)
    head, *body = ["| " + " | ".join(line) + " |" for line in cells]
    said = [head, "|---" * len(cells[0]) + "|", *body, ""]
    for number, reason in enumerate(reasons, 1):
        mark = f"{number}. "
        said += textwrap.wrap(mark + reason, WIDTH, subsequent_indent=" " * len(mark), break_long_words=False)
    said += ["", "What was found where there is more to say than ok:", ""]
    for row in rows:
        for client in COLUMNS:
            ok, words = row.found.get(client, (False, ""))
            if ok and words:
                line = f"- {row.feature}, {client}: {words}"
                said += textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False)
    return "\n".join(said) + "\n"


def write(rows: list[Row], path: Path) -> None:
    """Puts the matrix into a document, between its marks."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{markdown(rows)}\n{END}{after}", encoding="utf-8")
