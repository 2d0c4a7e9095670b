"""What a rule of the repository is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rule:
    """A rule, the data it looks at, and inputs that show that it can fail."""

    name: str
    # What is wrong in the data, one line each.
    problems: Callable[[Any], list[str]]
    # The data of this checkout.
    load: Callable[[], Any]
    # Data without a problem.
    good: list[Any]
    # Name of a violation, data that has it, what the rule must say.
    bad: list[tuple[str, Any, str]] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Where the rule itself is wrong: what it lets pass, and what it finds where nothing is."""
        if not self.bad or not self.good:
            return ["the rule has no examples"]
        faults = []
        for name, data, wanted in self.bad:
            found = self.problems(data)
            if not any(wanted in problem for problem in found):
                faults.append(f"{name}: not noticed; the rule says {found}")
        for data in self.good:
            if found := self.problems(data):
                faults.append(f"finds a problem where none is: {found[0]}")
        return faults
