"""The demo guest's picture, computed here from the events it was sent."""

import subprocess

from .vm import CHECKOUT, expect


def example(name: str, *arguments: str, given: str = "") -> bytes:
    """What an example of the scene's crate writes."""
    done = subprocess.run(
        ["cargo", "run", "--quiet", "--release", "--frozen", "-p", "caraway-demo-scene", "--example", name,
         "--", *arguments],
        cwd=CHECKOUT / "guest-drivers", input=given.encode(), capture_output=True, check=False,
    )  # fmt: skip
    expect(done.returncode == 0, f"the scene's example {name} failed: {done.stderr.decode(errors='replace')}")
    return done.stdout


def expected_hash(events: str = "") -> str:
    """The checksum of the frozen scene after these events (one a line: `key CODE`, `motion DX DY`, `video off`)."""
    return example("expected", given=events).decode().strip()
