"""The demo guest's picture, computed here from the events it was sent."""

import subprocess

from .vm import CHECKOUT, expect


def expected_hash(events: str = "") -> str:
    """The checksum of the frozen scene after these events (one a line: `key CODE`, `motion DX DY`)."""
    done = subprocess.run(
        ["cargo", "run", "--quiet", "--release", "--frozen", "-p", "caraway-demo-scene", "--example", "expected"],
        cwd=CHECKOUT / "guest-drivers", input=events, capture_output=True, text=True, check=False,
    )  # fmt: skip
    expect(done.returncode == 0, f"the scene's example failed: {done.stderr}")
    return done.stdout.strip()
