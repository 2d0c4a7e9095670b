"""One command run in the nested host: its files, its time limit, its output, and the log of all runs."""

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from debian import cache

from . import machine
from .process import HostFailed, Qemu

TIME_LIMIT_REACHED = 124
HOST_FAILED = 125
START_LIMIT = 60.0
# /init sends a line every five seconds; where everything is starved, it waits for minutes for its turn.
SILENCE_LIMIT = 300.0
LOG_SIZE = 1 << 20
# What belongs to the terminal and the desktop of the caller and would mislead a program in the nested host.
NOT_PASSED_ON = {"DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "OLDPWD", "SHLVL", "_"}


@dataclass
class Job:
    """What to run and how."""

    command: list[str]
    seconds: float
    size: machine.Size
    shares: list[str]
    forwards: list[tuple[int, int]]
    results: str
    cold: bool = False
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))


def log(text: str) -> None:
    """One line to the person at the terminal."""
    print(f"nested: {text}", file=sys.stderr, flush=True)


def run(job: Job) -> int:
    """Runs the job and returns its exit code, 124 at its time limit, 125 when the nested host failed twice."""
    built = machine.parts()
    if job.size.cpus > 1 and machine.major_version(built.qemu_version) < 8:
        log("more than one CPU is known to hang with QEMU 7.2 (docs/nested-host.md)")
    for attempt in (1, 2):
        began = time.monotonic()
        started = False
        try:
            with _folder(job) as folder, contextlib.closing(_start(job, built, folder)) as qemu:
                qemu.expect("started", START_LIMIT)
                started = True
                code = _follow(qemu, job.seconds)
            _record(job, attempt, began, f"code {code}")
            return code
        except HostFailed as error:
            _record(job, attempt, began, f"host failed: {error}")
            log(f"attempt {attempt}: {error}")
            if not started:
                machine.forget_saved(built, job.size)
    return HOST_FAILED


def _start(job: Job, built: machine.Parts, folder: Path) -> Qemu:
    command = machine.command(built, job.size, folder, job.shares, job.forwards)
    if not job.cold:
        command += machine.incoming(machine.saved(built, job.size, log))
    qemu = Qemu(command)
    try:
        if job.cold:
            qemu.expect("ready", machine.COLD_START_LIMIT)
        qemu.send(f"go {int(time.time())} {folder}")
    except BaseException:
        qemu.close()
        raise
    return qemu


def _follow(qemu: Qemu, seconds: float) -> int:
    now = time.monotonic()
    limit = now + seconds
    heard = now
    while True:
        step = min(limit, heard + SILENCE_LIMIT)
        for stream, data in qemu.events(step):
            if stream != "control":
                _pass_on(stream, data)
                continue
            heard = time.monotonic()
            if data.startswith("failed"):
                raise HostFailed(data)
            if data.startswith("rc "):
                qemu.kill()
                for name, rest in qemu.drain():
                    _pass_on(name, rest)
                return int(data.removeprefix("rc "))
            break
        else:
            if time.monotonic() >= limit:
                log(f"time limit of {seconds:g} s reached")
                return TIME_LIMIT_REACHED
            raise HostFailed(f"the nested host has been silent for {SILENCE_LIMIT:.0f} s")


def _pass_on(stream: str, data: bytes) -> None:
    target = sys.stdout.buffer if stream == "stdout" else sys.stderr.buffer
    target.write(data)
    target.flush()


@contextlib.contextmanager
def _folder(job: Job):
    """A folder for one run: the job as a script, the list of shares, the console's log."""
    runs = cache.root() / "runs"
    runs.mkdir(exist_ok=True)
    _remove_left_over(runs)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=runs))
    try:
        (folder / "job").write_text(_script(job), encoding="utf-8", errors="surrogateescape")
        pairs = zip(machine.share_tags(), job.shares)
        (folder / "shares").write_text("".join(f"{tag}\t{path}\n" for tag, path in pairs), encoding="utf-8")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_over(runs: Path) -> None:
    for folder in runs.iterdir():
        pid = folder.name.split("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _script(job: Job) -> str:
    """The job as a shell script: environment, folder, command."""
    lines = []
    for name, value in sorted(job.environment.items()):
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name not in NOT_PASSED_ON:
            lines.append(f"export {name}={shlex.quote(value)}")
    lines.append("export CARAWAY_NESTED=1")
    lines.append(f"export CARAWAY_RESULTS={shlex.quote(job.results)}")
    lines.append(f"cd {shlex.quote(os.getcwd())} || exit 126")
    lines.append(f"exec {shlex.join(job.command)}")
    return "\n".join(lines) + "\n"


def _record(job: Job, attempt: int, began: float, outcome: str) -> None:
    """Appends to the log of all runs, from which the figures in docs/nested-host.md are taken."""
    path = cache.root() / "nested.log"
    if path.exists() and path.stat().st_size > LOG_SIZE:
        path.replace(f"{path}.old")
    line = {
        "time": int(time.time()), "command": job.command[0], "cpus": job.size.cpus, "attempt": attempt,
        "seconds": round(time.monotonic() - began, 2), "outcome": outcome,
    }  # fmt: skip
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def port_is_free(port: int) -> bool:
    """Whether a port of the host's loopback can be forwarded."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
