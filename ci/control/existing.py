"""Clients that exist: QEMU's own Python library, and its shell."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness import vm
from harness.vm import CHECKOUT, Failed, expect

from .demo import Demo

REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"
VENV = CHECKOUT / "target" / "venv"
# Runs in the virtual environment; prints what it got as JSON.
SCRIPT = """
import asyncio, json, sys
from qemu.qmp import EventListener, ExecuteError, QMPClient

async def main():
    client = QMPClient("suite")
    await client.connect(sys.argv[1])
    told = {"greeting": client.greeting._asdict(), "status": await client.execute("query-status")}
    with client.listener(("STOP", "RESUME")) as events:
        await client.execute("stop")
        await client.execute("cont")
        told["events"] = [(await events.get())["event"] for _ in range(2)]
    try:
        await client.execute("nonsense")
    except ExecuteError as error:
        told["error"] = str(error)
    keys = [{"type": "qcode", "data": "a"}]
    # Several at once, in any order.
    await asyncio.gather(*(client.execute("send-key", {"keys": keys, "hold-time": 1}) for _ in range(20)))
    await client.execute("screendump", {"filename": sys.argv[2], "format": "png"})
    await client.disconnect()
    print(json.dumps(told))

asyncio.run(main())
"""


def install() -> Path:
    """The virtual environment's Python; the packages are installed once."""
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    stamp = VENV / "requirements.txt"
    python = VENV / "bin" / "python"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        vm.output([sys.executable, "-m", "venv", "--clear", str(VENV)])
        vm.output([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)])
        stamp.write_text(wanted, encoding="utf-8")
    return python


class Existing:
    def __init__(self, demo: Demo) -> None:
        self.demo = demo

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [("qemu.qmp, the library", self.library), ("qmp-shell", self.shell)]

    def library(self) -> str:
        count = self.demo.state()["keys"]
        shot = self.demo.folder / "library.png"
        told = json.loads(vm.output([str(install()), "-c", SCRIPT, self.demo.vm.places["control"], str(shot)]))
        expect(told["status"] == {"running": True, "singlestep": False, "status": "running"}, f"{told}")
        expect(told["events"] == ["STOP", "RESUME"], f"{told}")
        expect(told["error"] == "The command nonsense has not been found", f"{told}")
        expect(shot.read_bytes().startswith(b"\x89PNG"), "its screendump is no PNG")
        self.demo.wait_state(keys=count + 20)
        return told["greeting"]["QMP"]["version"]["package"]

    def shell(self) -> None:
        """Typed into on a terminal, as a person does."""
        controller, terminal = pty.openpty()
        command = [str(install().parent / "qmp-shell"), self.demo.vm.places["control"]]
        shell = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
        try:
            for line, answer in [
                ("", "Connected to QEMU"),
                ("query-status", '"status": "running"'),
                ("stop", '{"return": {}}'),
                ("query-status", '"status": "paused"'),
                ("cont", '{"return": {}}'),
                ('send-key keys=[{"type":"qcode","data":"a"}] hold-time=1', '{"return": {}}'),
                ("screendump filename=/nonexistent/a.png format=png", "/nonexistent/a.png: "),
            ]:
                if line:
                    os.write(controller, line.encode() + b"\n")
                wait_for(controller, answer)
            os.write(controller, b"\x04")
            code = shell.wait(vm.SECONDS)
            expect(code == 0, f"qmp-shell ended with {code}")
        finally:
            shell.kill()
            shell.wait()
            os.close(controller)
            os.close(terminal)


def wait_for(controller: int, text: str) -> None:
    """Waits until it has shown the text and behind it the prompt: only then is it ready for the next line."""
    shown = ""
    limit = time.monotonic() + vm.SECONDS
    while "(QEMU) " not in shown.partition(text)[2]:
        left = limit - time.monotonic()
        if left <= 0 or not select.select([controller], [], [], left)[0]:
            raise Failed(f"qmp-shell: no {text!r} and prompt; it shows:\n{shown}")
        shown += os.read(controller, 65536).decode(errors="replace")
