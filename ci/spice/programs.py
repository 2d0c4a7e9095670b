"""Other people's SPICE programs: spicy-screenshot, and remote-viewer in a window of an Xvfb screen."""

import contextlib
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from . import picture

# Room around a window of 1920x1080 for its menu bar.
SCREEN = "2200x1400x24"
POLL_SECONDS = 0.1
# For what another program does on the screen.
ACTION_SECONDS = 30


class ProgramError(Exception):
    """A program cannot be started or ended without doing its work."""


def _uri(options) -> str:
    if options.vv:
        return options.vv
    return f"spice+unix://{options.unix}" if options.unix else f"spice://{options.host}:{options.port}"


def spicy_screenshot(options) -> picture.Picture:
    """Runs spicy-screenshot and reads the PPM it writes; `options.out` may end with .png, then it is converted."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "screen.ppm"
        command = ["spicy-screenshot", f"--uri={_uri(options)}", f"--out-file={file}"]
        if options.ticket is not None:
            command.append(f"--password={options.ticket}")
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=options.seconds)
        except subprocess.TimeoutExpired as error:
            raise ProgramError(f"spicy-screenshot did not end within {options.seconds:g} s") from error
        if done.returncode != 0 or not file.exists():
            raise ProgramError(f"spicy-screenshot: exit code {done.returncode}: {done.stderr.strip()}")
        seen = picture.load(file)
    seen.save(options.out)
    return seen


@contextlib.contextmanager
def _ended(process: subprocess.Popen):
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def xvfb(folder: str):
    """An X screen on a free display, such as `:3`, whose pixels are in a file under `folder`; gives both."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", SCREEN, "-nolisten", "tcp", "-fbdir", folder]
    server = subprocess.Popen(command, pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writer)
    with _ended(server), os.fdopen(reader) as numbers:
        # The server writes its number when it is ready; an empty line means that it ended.
        number = numbers.readline().strip()
        if not number:
            raise ProgramError("Xvfb did not start")
        yield f":{number}", Path(folder) / "Xvfb_screen0"


def _read_xwd(data: bytes) -> picture.Picture:
    """What an X screen shows, from the file Xvfb keeps its pixels in."""
    # XWDFile.h: 25 big-endian words, then names and colours; pixels as the server keeps them.
    header = [int.from_bytes(data[at : at + 4], "big") for at in range(0, 100, 4)]
    size, width, height = header[0], header[4], header[5]
    byte_order, bits, stride, colours = header[7], header[11], header[12], header[19]
    if bits != 32 or byte_order != 0:
        raise ProgramError(f"xwd: {bits} bits a pixel in byte order {byte_order}, expected 32 and least first")
    start = size + colours * 12
    return picture.from_rows(data[start : start + stride * height], width, height, stride, 32)


class Viewer:
    """remote-viewer with a screen of its own, on which it can be typed and pointed at. To be used with `with`.

    `where` is a URI or a file; further words are options of the program. What is done with keyboard and mouse goes
    through the X server (XTEST), as from a person's.
    """

    def __init__(self, where: str, *options: str, debug: bool = False) -> None:
        self._command = ["remote-viewer", *options, where]
        self._debug = debug
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Viewer":
        with contextlib.ExitStack() as stack:
            home = stack.enter_context(tempfile.TemporaryDirectory())
            display, self._pixels = stack.enter_context(xvfb(home))
            self._environment = {
                **os.environ, "DISPLAY": display, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home,
                "XDG_RUNTIME_DIR": home, "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1", "GSETTINGS_BACKEND": "memory",
                "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent", "GTK_OVERLAY_SCROLLING": "0",
                **({"G_MESSAGES_DEBUG": "all"} if self._debug else {}),
            }  # fmt: skip
            self._said = stack.enter_context(tempfile.TemporaryFile(dir=home))
            process = subprocess.Popen(self._command, env=self._environment, stdout=self._said, stderr=self._said)
            self.process = stack.enter_context(_ended(process))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def log(self) -> str:
        """What it has written."""
        # Not by the file's position, which the program has too.
        size = os.fstat(self._said.fileno()).st_size
        return os.pread(self._said.fileno(), size, 0).decode(errors="replace")

    def shown(self) -> picture.Picture:
        """What is on the X screen."""
        return _read_xwd(self._pixels.read_bytes())

    def find(self, wanted: picture.Picture, seconds: float) -> dict:
        """Waits until a picture is on the screen, pixel for pixel; where."""
        limit = time.monotonic() + seconds
        while True:
            answer = picture.find(wanted, self.shown())
            if answer["found"] or time.monotonic() >= limit or self.process.poll() is not None:
                return answer
            time.sleep(POLL_SECONDS)

    def wait(self, condition, seconds: float, what: str):
        """Waits until `condition()` gives something true, which is returned."""
        limit = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() >= limit:
                raise ProgramError(f"remote-viewer: no {what} within {seconds:g} s; it said: {self.log()[-1500:]}")
            time.sleep(POLL_SECONDS)
        return found

    def _run(self, *command: str) -> str:
        """Another program on the same screen; what it writes."""
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=ACTION_SECONDS, check=False
        )
        return done.stdout

    def act(self, *words: str) -> None:
        """Keys and pointer, by xdotool's words."""
        self._run("xdotool", *words)

    def found(self, pattern: str, seconds: float) -> str:
        """Waits until its log has what matches; that."""
        return self.wait(lambda: re.search(pattern, self.log()), seconds, f"{pattern!r} in its log")[0].strip()

    def copy(self, text: str) -> None:
        """Has a text in the clipboard of the screen. Who has it stays until the screen ends."""
        subprocess.run(
            ["xclip", "-selection", "clipboard", "-in"], env=self._environment, input=text, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=ACTION_SECONDS, check=False,
        )  # fmt: skip

    def paste(self) -> str:
        """What is in the clipboard of the screen."""
        return self._run("xclip", "-selection", "clipboard", "-out")

    def focus(self) -> None:
        """Gives the keyboard to the window of the first display."""
        self.act("windowfocus", "--sync", self.window(1))

    def other_window(self) -> str:
        """One that shows no display."""
        return next(number for number, title in self.windows().items() if not title)

    def window(self, display: int) -> str:
        """Number of the window of a display, from 1 on."""
        pattern = re.compile(rf"\({display}\)$")

        def found() -> str | None:
            return next((number for number, title in self.windows().items() if pattern.search(title)), None)

        return self.wait(found, ACTION_SECONDS, f"window of display {display}")

    def windows(self) -> dict[str, str]:
        """Windows that can be seen: their number and title."""
        numbers = self._run("xdotool", "search", "--onlyvisible", "--name", ".*").split()
        return {number: self._run("xdotool", "getwindowname", number).strip() for number in numbers}


def remote_viewer(options) -> dict:
    """Starts remote-viewer and waits until its window shows the picture `options.expect` pixel for pixel."""
    wanted = picture.load(options.expect)
    # The window takes the guest's size; a larger one would be drawn scaled.
    with Viewer(_uri(options), "--auto-resize=never", "--zoom=100") as viewer:
        answer = viewer.find(wanted, options.seconds)
        if options.out:
            viewer.shown().save(options.out)
        if not answer["found"]:
            words = viewer.log().strip()[-500:]
            code = viewer.process.poll()
            answer["reason"] = f"remote-viewer (exit code {code}) never showed the picture; it said: {words}"
        return answer
