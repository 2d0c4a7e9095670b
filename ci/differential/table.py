"""The table of a differential test: commands that changed pixels, for each cell."""

from collections import Counter, defaultdict


class Table:
    """Counts commands by cell, sampling, and the way the client was told of them."""

    def __init__(self, cells: list[str]) -> None:
        self.cells = cells
        self.changed: Counter[str] = Counter()
        self.sampled: Counter[str] = Counter()
        self.sent: dict[str, Counter[str]] = defaultdict(Counter)
        # By operation, format and raster operation.
        self.as_commands: Counter[str] = Counter()
        self.commands = 0

    def add(self, commands: list[dict]) -> None:
        for command in commands:
            self.commands += 1
            kind, surface, mode, *_ = command["cell"].split("/")
            if command["changed"]:
                self.changed[command["cell"]] += 1
                if command["sampled"]:
                    self.sampled[command["sampled"]] += 1
                self.sent[f"{kind}/{surface}"][command["sent"]] += 1
                if command["sent"] == "command":
                    self.as_commands[f"{kind}/{surface}/{mode}"] += 1

    def empty(self) -> list[str]:
        """Cells without a command that changed pixels."""
        return [cell for cell in self.cells if not self.changed[cell]]

    def lines(self, details: bool) -> list[str]:
        """The report: for each operation and format the commands sent as such and as pictures; with `details` every
        cell, masks across and clips down."""
        kinds = list(dict.fromkeys(cell.split("/")[0] for cell in self.cells))
        formats = list(dict.fromkeys(cell.split("/")[1] for cell in self.cells))
        found = ["commands that changed pixels, sent as commands + as pictures"]
        found.append(_row("", formats))
        for kind in kinds:
            counts = (self.sent[f"{kind}/{surface}"] for surface in formats)
            found.append(_row(kind, [f"{c['command']}+{c['picture'] + c['nothing']}" for c in counts]))
        found += ["", "of those, with a source that was"]
        ways = ("as it is", "nearest", "interpolated")
        found.append(_row("", [f"{surface} {way}" for surface in formats for way in ways], 20))
        for kind in kinds:
            counts = [self.sampled[f"{kind}/{surface}/{way}"] for surface in formats for way in ways]
            if any(counts):
                found.append(_row(kind, counts, 20))
        groups = dict.fromkeys("/".join(cell.split("/")[:3]) for cell in self.cells)
        never: dict[str, list[str]] = defaultdict(list)
        for group in groups:
            if not self.as_commands[group]:
                kind, surface, mode = group.split("/")
                never[f"{kind} on {surface}"].append(mode)
        found += ["", "only sent as pictures"]
        found += [f"{name}: {', '.join(modes)}" for name, modes in never.items()]
        if details:
            found += ["", "each cell: masks no, yes, inverse, each with clips none, one, several"]
            groups: dict[str, list[int]] = defaultdict(list)
            for cell in self.cells:
                kind, surface, mode, _, _ = cell.split("/")
                groups[f"{kind:<12}{surface:<8}{mode:<14}"].append(self.changed[cell])
            for name, counts in groups.items():
                found.append(name + " |".join("".join(f"{c:>4}" for c in counts[i : i + 3]) for i in range(0, len(counts), 3)))
        return found


def _row(name: str, values: list, width: int = 12) -> str:
    return f"{name:<12}" + "".join(f"{value:>{width}}" for value in values)
