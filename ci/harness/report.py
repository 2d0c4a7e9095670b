"""How a suite runs its checks and says what came of them."""

import sys
import time
import traceback
from collections.abc import Callable

from .vm import Failed


def run(checks: list[tuple[str, Callable[[], str | None]]]) -> int:
    """Runs checks in order, each with a name; prints a line for each and at the end `N passed, M failed`."""
    failed = 0
    for name, check in checks:
        began = time.monotonic()
        try:
            said = check()
        except Failed as failure:
            failed += 1
            print(f"FAILED  {name}: {failure}", flush=True)
        except Exception:  # noqa: BLE001
            failed += 1
            print(f"FAILED  {name}:\n{traceback.format_exc()}", flush=True)
        else:
            print(f"ok      {name} ({time.monotonic() - began:.1f} s){': ' + said if said else ''}", flush=True)
    print(f"{len(checks) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def fail(message: str) -> int:
    """Ends a suite that cannot run at all."""
    print(message, file=sys.stderr)
    print("0 passed, 1 failed", flush=True)
    return 1
