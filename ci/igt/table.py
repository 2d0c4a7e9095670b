"""What IGT found with two drivers, beside each other: for a terminal, and for a document."""

import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from .output import CRASH, FAIL, PASS, SKIP, TIMEOUT, Result

BEGIN, END = "<!-- results -->", "<!-- end of results -->"
BAD = (FAIL, CRASH, TIMEOUT)
WIDTH = 120


@dataclass
class Row:
    """A program: by driver what its subtests gave, and what the kernel complained of."""

    program: str
    results: dict[str, dict[str, Result]] = field(default_factory=dict)
    kernel: dict[str, list[str]] = field(default_factory=dict)

    def count(self, driver: str, *outcomes: str) -> int:
        """How many subtests gave one of the outcomes."""
        return sum(result.outcome in outcomes for result in self.results.get(driver, {}).values())

    def outcome(self, driver: str, subtest: str) -> str:
        """What a subtest gave; a whole program that did not end gives its own for those it has not come to."""
        result = self.results[driver].get(subtest)
        return result.outcome if result else "-"

    def worse(self, driver: str, than: str) -> list[str]:
        """Subtests that pass with the other driver and fail, crash or hang with this one."""
        return [
            f"{name}: {result.outcome}, {result.reason}"
            for name, result in self.results[driver].items()
            if result.outcome in BAD and self.outcome(than, name) == PASS
        ]


def text(row: Row, driver: str) -> str:
    """The counts of one driver in a program."""
    words = [f"{row.count(driver, outcome)} {outcome}" for outcome in (PASS, SKIP, *BAD) if row.count(driver, outcome)]
    complaints = row.kernel.get(driver, [])
    return ", ".join(words + ([f"the kernel: {complaints[0]}"] if complaints else []))


def markdown(rows: list[Row], drivers: list[str]) -> str:
    """The table, and below it every subtest that is not the same with both, that failed, or was skipped, with reasons."""
    head = ["program", *(f"{name}: {what}" for name in drivers for what in ("pass", "skip", "fail"))]
    body = [
        [f"`{row.program}`", *(str(row.count(name, *what)) for name in drivers for what in ((PASS,), (SKIP,), BAD))]
        for row in rows
    ]
    body.append(["all", *(str(sum(int(line[column]) for line in body)) for column in range(1, len(head)))])
    said = ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *body)]
    said += ["", "Not the same with both:", "", *_differences(rows, drivers)]
    said += ["", "Failures:", "", *_reasons(rows, drivers, BAD)]
    said += ["", "What the kernel complained of:", "", *_complaints(rows, drivers)]
    said += ["", "Skipped, with what was asked for:", "", *_reasons(rows, drivers, (SKIP,))]
    return "\n".join(said) + "\n"


def _item(line: str) -> list[str]:
    return textwrap.wrap(f"- {line}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _or_none(lines: list[str]) -> list[str]:
    return lines or ["- none"]


def _differences(rows: list[Row], drivers: list[str]) -> list[str]:
    said = []
    for row in rows:
        names = dict.fromkeys(name for driver in drivers for name in row.results[driver])
        different: dict[str, list[str]] = {}
        for name in names:
            outcomes = [row.outcome(driver, name) for driver in drivers]
            if len(set(outcomes)) > 1:
                line = ", ".join(f"{driver} {outcome}" for driver, outcome in zip(drivers, outcomes, strict=True))
                different.setdefault(line, []).append(name)
        for line, subtests in different.items():
            said += _item(f"`{row.program}`: {line}: {_names(subtests)}")
    return _or_none(said)


def _reasons(rows: list[Row], drivers: list[str], outcomes: tuple[str, ...]) -> list[str]:
    said = []
    for row in rows:
        grouped: dict[tuple[str, str], dict[str, list[str]]] = {}
        for driver in drivers:
            for name, result in row.results[driver].items():
                if result.outcome in outcomes:
                    grouped.setdefault((result.outcome, result.reason), {}).setdefault(driver, []).append(name)
        for (outcome, reason), found in grouped.items():
            where = {}
            for driver, names in found.items():
                where.setdefault(_names(names), []).append(driver)
            told = "; ".join(f"{' and '.join(who)}: {names}" for names, who in where.items())
            said += _item(f"`{row.program}`, {outcome}, `{reason or 'no reason given'}`: {told}")
    return _or_none(said)


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"


def _complaints(rows: list[Row], drivers: list[str]) -> list[str]:
    said = []
    for row in rows:
        for driver in drivers:
            for line in dict.fromkeys(row.kernel.get(driver, [])):
                said += _item(f"`{row.program}`, {driver}: `{line}`")
    return _or_none(said)


def write(rows: list[Row], drivers: list[str], path: Path) -> None:
    """Puts the table into a document, between its marks."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{markdown(rows, drivers)}\n{END}{after}", encoding="utf-8")
