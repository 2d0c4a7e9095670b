#!/usr/bin/python3
"""ci/spice/client.py: a spice-gtk client for tests. Each command prints one JSON object (drive: one for each step).

    client.py screenshot --port P --out FILE.png    picture and checksum of the primary surface
    client.py hash --port P                         checksum only
    client.py wait-hash HEX --port P                waits until the surface has this checksum
    client.py wait-text TEXT --port P               waits until a line of the Linux console contains TEXT
    client.py drive --port P --script FILE          steps from a JSON list, or with `-` from stdin, one JSON object a line
    client.py compare ONE.png OTHER.png             what differs between two pictures
    client.py spicy-screenshot --port P --out FILE  the program of that name; checksum of what it saved
    client.py remote-viewer --port P --expect FILE  looks for the picture in remote-viewer's window in Xvfb

A step is an object with the key `do`: mark, text (text, pause), key (scancode; press and release, or with `down` one of them),
locks (on), wait-locks (on), channels, cursor-shape, motion (dx, dy, buttons), position (x, y, buttons), button (button, down, buttons), flush, hash, wait-hash (hash),
wait-equal (file, out), wait-blank, screenshot (out), save (out), marks (width, height), console, wait-text (text, lines),
mouse-mode, wait-mouse-mode (client), monitors (count), cursor, traffic, settle (quiet), prefer-video (codecs), agent (connected, can, times), copy (text or
file, type, selection), drop (selection), offered (type, selection), paste (type, selection, out), asked, want-monitor
(number, x, y, width, height), want-mouse-mode (client), send-file (file); those that wait take `seconds`.
Exit codes: 0; 1 the expectation failed or the connection broke, with the reason under `error`; 2 wrong usage.
"""

import argparse
import json
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(CHECKOUT / "ci"), str(CHECKOUT / "images")]
# Python puts the script's own folder first, where `keys` and others would be found twice.
sys.path.remove(str(Path(__file__).resolve().parent))

from debian import kernel  # noqa: E402
from spice import console, picture, programs, session  # noqa: E402

SECONDS = 30.0

# VDAgentClipboardType.
UTF8_TEXT = 1


class Steps:
    """Carries out steps on one connection."""

    def __init__(self, client: session.Client, vmlinux: str | None) -> None:
        self._client = client
        self._vmlinux = vmlinux
        self._reader: console.Reader | None = None

    def run(self, step: dict) -> dict:
        """One step; its answer, with `ok` set."""
        step = dict(step)
        name = str(step.pop("do", ""))
        action = getattr(self, "do_" + name.replace("-", "_"), None)
        if action is None:
            raise session.ClientError(f"unknown step {name!r}")
        try:
            answer = action(**step)
        except TypeError as error:
            raise session.ClientError(f"step {name}: {error}") from error
        return {"ok": True, **(answer or {})}

    def do_mark(self, seconds: float = SECONDS) -> dict:
        self._client.wait_mark(seconds)
        return {"mark_ns": self._client.mark_ns}

    def do_text(self, text: str, pause: float = 0.02) -> None:
        self._client.type_text(text, pause)

    def do_key(self, scancode: int, down: bool | None = None) -> None:
        for pressed in [True, False] if down is None else [down]:
            self._client.key(scancode, pressed)

    def do_locks(self, on: int) -> None:
        self._client.set_locks(on)

    def do_wait_locks(self, on: int, seconds: float = SECONDS) -> None:
        """Waits until the server has told of these lights and no other."""
        self._client.wait_until(lambda: self._client.locks() == on, seconds, f"lights {on}")

    def do_channels(self) -> dict:
        return {"channels": self._client.opened()}

    def do_motion(self, dx: int, dy: int, buttons: int = 0) -> None:
        self._client.motion(dx, dy, buttons)

    def do_position(self, x: int, y: int, buttons: int = 0) -> None:
        self._client.position(x, y, buttons)

    def do_button(self, button: int, down: bool, buttons: int = 0) -> None:
        self._client.button(button, down, buttons)

    def do_flush(self, seconds: float = SECONDS) -> None:
        self._client.flush(seconds)

    def do_hash(self) -> dict:
        return _described(self._client.picture())

    def do_wait_hash(self, hash: str, seconds: float = SECONDS) -> dict:
        last = {}

        def matches(seen: picture.Picture) -> bool:
            last.update(_described(seen))
            return last["hash"] == hash.lower()

        try:
            self._client.wait_for(matches, seconds, f"picture with the checksum {hash}")
        except session.ClientError as error:
            raise session.ClientError(f"{error}; the last one is {last}") from error
        return last

    def do_wait_equal(self, file: str, out: str | None = None, seconds: float = SECONDS) -> dict:
        """Waits for the picture in `file`. Without it: what differs, and the last picture in `out`."""
        wanted = picture.load(file)
        last: list[picture.Picture] = []

        def matches(seen: picture.Picture) -> bool:
            last[:] = [seen]
            return seen.same(wanted)

        try:
            self._client.wait_for(matches, seconds, f"picture as in {file}")
        except session.ClientTimeout:
            if not last:
                return {"equal": False, "reason": "no picture at all"}
            if out:
                last[0].save(out)
            return picture.compare(last[0], wanted)
        return {"equal": True}

    def do_wait_blank(self, seconds: float = SECONDS) -> None:
        """Waits until the server shows nothing at all on this display."""
        self._client.wait_until(lambda: not self._client.has_picture(), seconds, "display without a picture")

    def do_monitors(self, count: int | None = None, seconds: float = SECONDS) -> dict:
        """Waits until the server has told of `count` monitors on this display, if any is given; what it has told."""
        if count is not None:
            self._client.wait_until(lambda: len(self._client.monitors()) == count, seconds, f"{count} monitors")
        return {"monitors": self._client.monitors()}

    def do_prefer_video(self, codecs: list[int]) -> None:
        self._client.prefer_video(codecs)

    def do_screenshot(self, out: str) -> dict:
        seen = self._client.picture()
        seen.save(out)
        return {**_described(seen), "out": out}

    def do_save(self, out: str, seconds: float = SECONDS) -> None:
        """As screenshot, without the checksum, which takes its time. Between two modes there is no picture for a while."""
        self._client.wait_for(lambda seen: seen.save(out) or True, seconds, "picture")

    def do_console(self) -> dict:
        return {"lines": self._lines(self._client.picture())}

    def do_wait_text(self, text: str, lines: int = 1, seconds: float = SECONDS) -> dict:
        """Waits until `lines` rows of the console contain `text`."""
        last: list[str] = []

        def matches(seen: picture.Picture) -> list[str]:
            last[:] = self._lines(seen)
            found = [line for line in last if text in line]
            return found if len(found) >= lines else []

        try:
            return {"found": self._client.wait_for(matches, seconds, f"{text!r} on the console")}
        except session.ClientError as error:
            shown = "\n".join(line for line in last if line)
            raise session.ClientError(f"{error}; the console shows:\n{shown}") from error

    def do_agent(
        self, connected: bool = True, can: list[int] = (), times: int = 0, seconds: float = SECONDS
    ) -> None:
        self._client.agent.wait_connected(connected, times, seconds)
        for bit in can:
            self._client.agent.wait_can(bit, seconds)

    def do_copy(self, text: str = "", file: str = "", type: int = UTF8_TEXT, selection: int = 0) -> None:
        self._client.agent.copy(selection, type, Path(file).read_bytes() if file else text.encode())

    def do_drop(self, selection: int = 0) -> None:
        self._client.agent.drop(selection)

    def do_offered(self, type: int = UTF8_TEXT, selection: int = 0, seconds: float = SECONDS) -> None:
        self._client.agent.wait_offer(selection, type, seconds)

    def do_paste(
        self, type: int = UTF8_TEXT, selection: int = 0, out: str | None = None, seconds: float = SECONDS
    ) -> dict:
        data = self._client.agent.paste(selection, type, seconds)
        if out is None:
            return {"text": data.decode()}
        Path(out).write_bytes(data)
        return {"bytes": len(data)}

    def do_asked(self) -> dict:
        return {"asked": self._client.agent.asked}

    def do_want_monitor(self, number: int = 0, x: int = 0, y: int = 0, width: int = 0, height: int = 0) -> None:
        self._client.agent.want_monitor(number, x, y, width, height)

    def do_drop_monitor(self, number: int) -> None:
        self._client.agent.drop_monitor(number)

    def do_want_mouse_mode(self, client: bool, seconds: float = SECONDS) -> None:
        """Asks for a mode and waits until the server says that it is in force."""
        self._client.agent.want_mouse_mode(client)
        self.do_wait_mouse_mode(client, seconds)

    def do_wait_mouse_mode(self, client: bool, seconds: float = SECONDS) -> None:
        mode = "client" if client else "server"
        self._client.wait_until(lambda: self._client.mouse_mode() == mode, seconds, f"mouse mode {mode}")

    def do_send_file(self, file: str, seconds: float = SECONDS) -> dict:
        return {"seconds": self._client.agent.send_file(file, seconds)}

    def do_mouse_mode(self) -> dict:
        return {"mouse_mode": self._client.mouse_mode()}

    def do_cursor(self) -> dict:
        return {"cursor": self._client.cursor}

    def do_cursor_shape(self, seconds: float = SECONDS) -> dict:
        self._client.wait_until(self._client.cursor_shape, seconds, "shape of the pointer")
        return {"shape": self._client.cursor_shape()}

    def do_marks(self, width: int, height: int, seconds: float = SECONDS) -> dict:
        """Waits until a picture of this size is marked; when each picture was."""
        self._client.wait_for(
            lambda _seen: any(mark[1:] == (width, height) for mark in self._client.marks), seconds, f"{width}x{height}"
        )
        return {"marks": self._client.marks}

    def do_traffic(self) -> dict:
        return {"bytes": self._client.traffic()}

    def do_settle(self, quiet: float = 0.2, seconds: float = SECONDS) -> None:
        self._client.settle(quiet, seconds)

    def _lines(self, seen: picture.Picture) -> list[str]:
        if self._reader is None:
            vmlinux = Path(self._vmlinux) if self._vmlinux else kernel.load().vmlinux
            self._reader = console.Reader(console.font_of(vmlinux))
        return self._reader.lines(seen)


def _described(seen: picture.Picture) -> dict:
    return {"hash": seen.checksum(), "width": seen.width, "height": seen.height}


def say(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


def arguments() -> argparse.Namespace:
    connection = argparse.ArgumentParser(add_help=False)
    connection.add_argument("--host", default="127.0.0.1")
    connection.add_argument("--port", help="TCP port; with `-` the first line of stdin")
    connection.add_argument("--unix", help="path of a Unix socket, instead of --port")
    connection.add_argument("--tls-port", help="TCP port for TLS, instead of --port or besides it")
    connection.add_argument("--ca", help="file of certificates to trust, for TLS")
    connection.add_argument("--vv", help="a file that says where to connect; remote-viewer only")
    connection.add_argument("--ticket", help="password of the display, or of --user")
    connection.add_argument("--user", help="name for SASL")
    connection.add_argument("--display", type=int, default=0, help="display channel (0)")
    connection.add_argument("--connect-seconds", type=float, default=SECONDS, help="how long to try to connect (30)")
    connection.add_argument("--seconds", type=float, default=SECONDS, help="limit for the picture or condition (30)")
    connection.add_argument("--only-looks", action="store_true", help="has a ticket that gives no keyboard: none is waited for")
    connection.add_argument("--say-ready", action="store_true", help="print {\"ready\": true} before connecting")
    connection.add_argument("--debug", action="store_true", help="spice-gtk's debug log on standard error")
    connection.add_argument("--vmlinux", help="kernel to take the console font from (the console image's)")

    parser = argparse.ArgumentParser(
        prog="client.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("screenshot", "spicy-screenshot"):
        commands.add_parser(name, parents=[connection]).add_argument("--out", required=True)
    commands.add_parser("hash", parents=[connection])
    commands.add_parser("wait-hash", parents=[connection]).add_argument("wanted")
    commands.add_parser("wait-text", parents=[connection]).add_argument("wanted")
    driver = commands.add_parser("drive", parents=[connection])
    driver.add_argument("--script", required=True)
    driver.add_argument("--no-picture", action="store_true", help="do not wait for a picture before the first step")
    viewer = commands.add_parser("remote-viewer", parents=[connection])
    viewer.add_argument("--expect", required=True, help="picture to find in the window")
    viewer.add_argument("--out", help="where to save what the X screen showed")
    two = commands.add_parser("compare")
    two.add_argument("one")
    two.add_argument("other")
    options = parser.parse_args()
    if options.command != "compare":
        places = [options.port or options.tls_port, options.unix, options.vv]
        if sum(map(bool, places)) != 1 or (options.vv and options.command != "remote-viewer"):
            parser.error("one of --port, --tls-port and --unix is needed; remote-viewer takes --vv")
    return options


def steps_of(options: argparse.Namespace, client: session.Client):
    """The steps a command consists of."""
    if options.command == "drive" and options.script == "-":
        yield from (json.loads(line) for line in client.lines(sys.stdin) if line.strip())
        return
    if options.command == "drive":
        yield from json.loads(Path(options.script).read_text(encoding="utf-8"))
        return
    yield {
        "screenshot": {"do": "screenshot", "out": getattr(options, "out", "")},
        "hash": {"do": "hash"},
        "wait-hash": {"do": "wait-hash", "hash": getattr(options, "wanted", ""), "seconds": options.seconds},
        "wait-text": {"do": "wait-text", "text": getattr(options, "wanted", ""), "seconds": options.seconds},
    }[options.command]


def drive(options: argparse.Namespace) -> int:
    if options.debug:
        session.debug_on_stderr()
    if options.say_ready:
        say({"ready": True})
    port = sys.stdin.readline().strip() if options.port == "-" else options.port
    target = {"unix-path": options.unix} if options.unix else {"host": options.host}
    given = {"port": port, "tls-port": options.tls_port, "ca-file": options.ca}
    target |= {name: value for name, value in given.items() if value and not options.unix}
    if options.ticket is not None:
        target["password"] = options.ticket
    if options.user is not None:
        target["username"] = options.user
    client = session.Client(target, options.display, only_looks=options.only_looks)
    client.connect(options.connect_seconds)
    try:
        if not getattr(options, "no_picture", False):
            client.wait_mark(options.seconds)
        steps = Steps(client, options.vmlinux)
        for step in steps_of(options, client):
            say({**steps.run(step), "mark_ns": client.mark_ns})
        if not options.only_looks:
            client.flush()
    finally:
        client.close()
    return 0


def main() -> int:
    options = arguments()
    try:
        if options.command == "compare":
            answer = picture.compare(picture.load(options.one), picture.load(options.other))
        elif options.command == "spicy-screenshot":
            seen = programs.spicy_screenshot(options)
            answer = {"equal": True, **_described(seen), "out": options.out}
        elif options.command == "remote-viewer":
            answer = programs.remote_viewer(options)
        else:
            return drive(options)
    except (session.ClientError, programs.ProgramError, console.FontError, KeyError, ValueError, OSError) as error:
        say({"ok": False, "error": f"{error}" if str(error) else type(error).__name__})
        return 1
    ok = bool(answer.get("equal", answer.get("found", False)))
    say({"ok": ok, **answer})
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
