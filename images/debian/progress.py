"""What is going on, for whoever waits: on standard error, since standard output has the results."""

import sys
import time

_began = time.monotonic()


def say(text: str) -> None:
    print(f"images/build: {time.monotonic() - _began:4.0f} s  {text}", file=sys.stderr, flush=True)
