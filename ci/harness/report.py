"""How a suite runs its checks and says what came of them."""

import sys
import time
import traceback
from collections.abc import Callable

from .vm import Failed


def run(checks: list[tuple[str, Callable[[], str | None]]]) -> int:
    """Runs checks in order, each with a name; prints a line for each and at the end `N passed, M failed`."""
    return end([attempt(name, check)[0] for name, check in checks])


def attempt(name: str, check: Callable[[], str | None]) -> tuple[bool, str]:
    """Runs a check and prints its line; whether it passed, and what it said."""
    began = time.monotonic()
    try:
        said = check() or ""
    except Failed as failure:
        print(f"FAILED  {name}: {failure}", flush=True)
        return False, str(failure)
    except Exception:  # noqa: BLE001
        print(f"FAILED  {name}:\n{traceback.format_exc()}", flush=True)
        return False, traceback.format_exc()
    print(f"ok      {name} ({time.monotonic() - began:.1f} s){': ' + said if said else ''}", flush=True)
    return True, said


def end(passed: list[bool]) -> int:
    """Prints the last line of a suite; its exit code."""
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed", flush=True)
    return 0 if all(passed) else 1


def fail(message: str) -> int:
    """Ends a suite that cannot run at all."""
    print(message, file=sys.stderr)
    print("0 passed, 1 failed", flush=True)
    return 1
