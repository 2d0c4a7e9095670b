"""How each client is brought to a place and what it makes of it: the columns of the matrix."""

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import vm, web
from harness.vm import expect
from harness.watcher import Watcher
from spice import picture, programs

# A client that cannot get in tries again for so long.
TRIES_SECONDS = "1"
# What a client needs until it shows something, many times over.
SECONDS = 30.0
# SpiceChannelEvent, as spicy-screenshot writes it.
EVENTS = {20: "ERROR_CONNECT", 21: "ERROR_TLS", 22: "ERROR_LINK", 23: "ERROR_AUTH", 24: "ERROR_IO"}


@dataclass(frozen=True)
class Place:
    """Where a screen is and what lets a client in."""

    host: str = "127.0.0.1"
    port: str | None = None
    tls_port: str | None = None
    unix: str | None = None
    ca: str | None = None
    ticket: str | None = None
    user: str | None = None
    # The ticket is one for looking.
    only_looks: bool = False

    def gtk(self) -> list[str]:
        """Words for the scripted client."""
        given = {
            "--port": self.port, "--tls-port": self.tls_port, "--ca": self.ca, "--unix": self.unix,
            "--ticket": self.ticket, "--user": self.user,
        }  # fmt: skip
        words = [word for name, value in given.items() if value for word in (name, value)]
        return ["--host", self.host, *words, *(["--only-looks"] if self.only_looks else [])]

    def vv(self) -> str:
        """A file for remote-viewer."""
        ca = Path(self.ca).read_text(encoding="utf-8").replace("\n", "\\n") if self.ca else None
        given = {
            "host": self.host, "port": self.port, "tls-port": self.tls_port, "ca": ca, "username": self.user,
            "password": self.ticket, "title": "viewed",
        }  # fmt: skip
        return "[virt-viewer]\ntype=spice\n" + "".join(f"{key}={value}\n" for key, value in given.items() if value)


class Gtk:
    """spice-gtk by script, by its GObject API."""

    def __init__(self, machine: vm.Vm) -> None:
        self._vm = machine

    def sees(self, place: Place, shot: Path) -> None:
        """Shows the picture to the pixel."""
        steps = [{"do": "wait-equal", "file": str(shot), "seconds": SECONDS}]
        (answer,) = self._vm.client("drive", steps=steps, where=place.gtk())
        expect(answer["equal"], f"it does not show the picture: {answer}")

    def refused(self, place: Place, says: str) -> str:
        """Gets an error, in which there is `says`; the whole of it."""
        (answer,) = self._vm.client("hash", "--connect-seconds", TRIES_SECONDS, where=place.gtk(), check=False)
        expect(not answer["ok"] and says in answer["error"], f"wanted {says!r}: {answer}")
        return answer["error"].partition(": ")[2]

    def watch(self, name: str, place: Place) -> Watcher:
        """One that stays."""
        return Watcher(name, None, *place.gtk(), seconds=vm.SECONDS)


class Viewer:
    """remote-viewer, in a window."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def at(self, place: Place) -> programs.Viewer:
        """One that is started."""
        where = f"spice+unix://{place.unix}"
        if not place.unix:
            with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".vv", delete=False) as file:
                file.write(place.vv())
            where = file.name
        # The window takes the guest's size; a larger one would be drawn scaled.
        return programs.Viewer(where, "--auto-resize=never", "--zoom=100", "--spice-debug", debug=True)

    def sees(self, place: Place, shot: Path) -> None:
        with self.showing(place, shot):
            pass

    @contextlib.contextmanager
    def showing(self, place: Place, shot: Path):
        """One that shows a picture; with the picture's place on its screen."""
        try:
            with self.at(place) as viewer:
                found = viewer.find(picture.load(shot), SECONDS)
                expect(found["found"], f"it does not show the picture: {found}; it said: {viewer.log()[-1500:]}")
                yield viewer, (found["x"], found["y"])
        except programs.ProgramError as error:
            raise vm.Failed(str(error)) from error

    def lacks_keyboard(self, place: Place, shot: Path) -> str:
        """Shows the picture, tries TLS for its keyboard and is left without one."""
        tries = r"inputs-3:0: (switching to tls)(?:.*\n)+?.*inputs-3:0: (Connect error)"
        with self.showing(place, shot) as (viewer, _):
            found = viewer.wait(lambda: re.search(tries, viewer.log()), SECONDS, "error of the inputs channel")
        return f"shows the picture; inputs-3:0: {found[1]}, {found[2]}"

    def refused(self, place: Place, logs: str, window: Callable[[list[str]], bool]) -> str:
        """Says why in its log, and has a window that says it to people."""
        with self.at(place) as viewer:
            try:
                found = viewer.wait(lambda: re.search(logs, viewer.log()), SECONDS, f"{logs!r} in its log")
                titles = viewer.wait(lambda: _that(list(viewer.windows().values()), window), SECONDS, "window for it")
            except programs.ProgramError as error:
                raise vm.Failed(str(error)) from error
        named = [title for title in titles if title and not title.startswith("viewed")]
        return found[0].strip() + (f"; window {named[-1]!r}" if named else "; a message in a window")


def _that(titles: list[str], window: Callable[[list[str]], bool]) -> list[str] | None:
    return titles if window(titles) else None


def asks_for_password(titles: list[str]) -> bool:
    """The window in which remote-viewer wants another password."""
    return "Authentication required" in titles


def only_messages(titles: list[str]) -> bool:
    """A message, and no display."""
    return len(titles) > 1 and not any(titles)


class Spicy:
    """spicy-screenshot."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _run(self, place: Place, out: Path) -> subprocess.CompletedProcess:
        words = ["-h", place.host]
        words += [word for name, value in {"-p": place.port, "-s": place.tls_port, "-w": place.ticket}.items()
                  if value for word in (name, value)]  # fmt: skip
        if place.unix:
            words = [f"--uri=spice+unix://{place.unix}"]
        # It has no option for whom to trust, and asks OpenSSL.
        environment = {**os.environ, **({"SSL_CERT_FILE": place.ca} if place.ca else {})}
        try:
            return subprocess.run(
                ["spicy-screenshot", *words, f"--out-file={out}"], env=environment, capture_output=True, text=True,
                timeout=SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise vm.Failed(f"spicy-screenshot did not end within {SECONDS:g} s: {error.stderr}") from error

    def sees(self, place: Place, shot: Path) -> None:
        out = self._folder / "spicy.ppm"
        out.unlink(missing_ok=True)
        done = self._run(place, out)
        expect(done.returncode == 0 and out.exists(), f"exit code {done.returncode}: {done.stderr.strip()}")
        compared = picture.compare(picture.load(shot), picture.load(out))
        expect(compared == {"equal": True}, f"its picture differs: {compared}")

    def refused(self, place: Place, event: str) -> str:
        out = self._folder / "refused.ppm"
        done = self._run(place, out)
        told = re.search(r"(\w+) channel event: (\d+)", done.stderr)
        expect(done.returncode == 1 and told, f"exit code {done.returncode}: {done.stderr.strip()}")
        found = f"{told[1]} channel: {EVENTS.get(int(told[2]), told[2])}"
        expect(found == event, f"wanted {event}: {done.stderr.strip()}")
        expect(not out.exists(), "it has a picture all the same")
        return f"exit code 1, {told[0]} ({EVENTS[int(told[2])]})"


class Web:
    """A program on python3-websockets, as a page would connect; it looks no further than the main channel's INIT."""

    def links(self, place: Place) -> None:
        web.link(self.url(place), place.ticket or "", ca=place.ca, unix=place.unix)

    def refused(self, place: Place, code: int, name: str, channel: int = 1) -> str:
        got = web.result(self.url(place), place.ticket or "", ca=place.ca, channel=channel)
        expect(got == code, f"the server answers {got}, not {code} ({name})")
        return f"{code}, {name}"

    def url(self, place: Place) -> str:
        host = f"[{place.host}]" if ":" in place.host else place.host
        if place.unix:
            return "ws://localhost"
        return f"wss://{host}:{place.tls_port}" if place.ca else f"ws://{host}:{place.port}"
