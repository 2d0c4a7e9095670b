"""Other people's SPICE programs: spicy-screenshot, and remote-viewer in a window of an Xvfb screen."""

import contextlib
import os
import subprocess
import tempfile
import time
from pathlib import Path

from . import picture

# Room around a window of 1920x1080 for its menu bar.
SCREEN = "2200x1400x24"
POLL_SECONDS = 0.3


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


def remote_viewer(options) -> dict:
    """Starts remote-viewer and waits until its window shows the picture `options.expect` pixel for pixel."""
    wanted = picture.load(options.expect)
    with tempfile.TemporaryDirectory() as home, xvfb(home) as (display, pixels):
        environment = {
            **os.environ, "DISPLAY": display, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home,
            "XDG_RUNTIME_DIR": home, "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1", "GSETTINGS_BACKEND": "memory",
            "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent", "GTK_OVERLAY_SCROLLING": "0",
        }  # fmt: skip
        # The window takes the guest's size; a larger one would be drawn scaled.
        command = ["remote-viewer", "--auto-resize=never", "--zoom=100", _uri(options)]
        said = tempfile.TemporaryFile(dir=home)
        viewer = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        with _ended(viewer):
            limit = time.monotonic() + options.seconds
            while True:
                shown = _read_xwd(pixels.read_bytes())
                answer = picture.find(wanted, shown)
                if answer["found"] or time.monotonic() >= limit or viewer.poll() is not None:
                    break
                time.sleep(POLL_SECONDS)
            if options.out:
                shown.save(options.out)
            if not answer["found"]:
                said.seek(0)
                words = said.read().decode(errors="replace").strip()[-500:]
                answer["reason"] = f"remote-viewer (exit code {viewer.poll()}) never showed the picture; it said: {words}"
            return answer
