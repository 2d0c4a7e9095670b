"""Ways to connect, and what clients are told that may not."""

import contextlib
import functools
import json
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from harness import vm
from harness.vm import expect

from .columns import Gtk, Place, Spicy, Viewer, Web, asks_for_password, only_messages
from .table import GTK, SPICY, VIEWER, WEB, Row

TICKET, VIEW_TICKET, USER = "open-sesame", "only-look", "ann"
# Link error codes.
NEED_SECURED, PERMISSION_DENIED = 5, 7
INPUTS = 3
CONFIG = """
name = "{name}"
memory = "64 MiB"
[boot]
kernel = "{demo}"
[spice]
{spice}
"""
TLS = 'listen = "127.0.0.1:0"\ntls = { generate = true, listen = "127.0.0.1:0" }\n'
TICKETS = 'ticket = { file = "ticket" }\nview_ticket = { file = "view" }\n'

WEB_ONLY = "is a client for WebSocket alone"
NO_WEBSOCKET = "spice-gtk 0.42 has no WebSocket, nor have programs made of it"
NO_KEYBOARD = "has no keyboard"
NO_INPUTS = "opens no inputs channel, so that nothing of it is refused"
NO_USER = "has no way to be told the name of a user"
TICKETS_ONLY = "the program links with tickets alone"
ONE_PORT = "a page connects to one port, and follows nothing to another"
LOOKS_NO_FURTHER = "looks no further than the main channel's INIT"


class Demo:
    """A demo VM whose picture rests, with `spice` as its section of that name."""

    def __init__(self, program: Path, folder: Path, name: str, spice: str) -> None:
        config = folder / f"{name}.toml"
        config.write_text(CONFIG.format(name=name, demo=vm.guest("caraway-demo"), spice=spice), encoding="utf-8")
        self._vm = vm.Vm(program, [str(config)])
        self.shot = folder / f"{name}.png"

    @property
    def ca(self) -> str:
        """The authority that its clients are to trust."""
        return str(Path(self._vm.state_directory) / "ca.pem")

    def __enter__(self) -> "Demo":
        with contextlib.ExitStack() as stack:
            self.vm = stack.enter_context(self._vm)
            self.serial = self.vm.serial()
            stack.callback(self.serial.close)
            self.serial.wait(r"^demo: ready")
            self.serial.ask("freeze", r"^frozen")
            self.look()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def look(self) -> None:
        """Has what is on the screen in the file that clients are compared with; it is what the guest meant to show."""
        told = self.serial.ask("hash", r"^hash ([0-9a-f]{16})\r?$")[1]
        shown = self.vm.ctl("screenshot", "--hash").stdout.split()[0]
        expect(shown == told, f"the screen has {shown}, the guest said {told}")
        self.vm.ctl("screenshot", "-o", str(self.shot))

    def place(self, **more) -> Place:
        """Without TLS."""
        return Place(port=self.vm.port, **more)

    def tls(self, **more) -> Place:
        """By TLS alone."""
        return Place(tls_port=self.vm.tls_port, ca=more.pop("ca", self.ca), **more)

    def both(self, **more) -> Place:
        """With both ports."""
        return Place(port=self.vm.port, tls_port=self.vm.tls_port, ca=self.ca, **more)

    def state(self) -> dict[str, int]:
        """What the guest has seen."""
        said = self.serial.ask("state", r"^state (.* held=\d+)\r?$")[1]
        return {name: int(value) for name, value in (word.split("=") for word in said.split())}

    def wait_state(self, **wanted: int) -> None:
        """Waits until the guest has seen this."""
        limit = time.monotonic() + vm.SECONDS
        while (seen := {name: self.state()[name] for name in wanted}) != wanted:
            expect(time.monotonic() < limit, f"the guest has seen {seen}, not {wanted}")


class Connections:
    """The rows, and the VMs they need."""

    def __init__(self, program: Path, folder: Path, stack: contextlib.ExitStack) -> None:
        self._program, self._folder, self._stack = program, folder, stack
        for name, text in [("ticket", TICKET), ("view", VIEW_TICKET)]:
            (folder / name).write_text(f"{text}\n", encoding="utf-8")
        done = subprocess.run(
            [str(program), "user", "add", str(folder / "users"), USER], input=f"{TICKET}\n", capture_output=True,
            text=True, timeout=vm.SECONDS, check=False,
        )  # fmt: skip
        expect(done.returncode == 0, f"caraway user add: {done.stderr}")
        self.viewer, self.spicy, self.web = Viewer(folder), Spicy(folder), Web()

    def demo(self, name: str, spice: str) -> Demo:
        return self._stack.enter_context(Demo(self._program, self._folder, name, spice))

    @functools.cached_property
    def open(self) -> Demo:
        return self.demo("open", 'listen = "127.0.0.1:0"\n')

    @functools.cached_property
    def six(self) -> Demo:
        return self.demo("six", 'listen = "[::1]:0"\n')

    @functools.cached_property
    def unix(self) -> Demo:
        return self.demo("unix", f'listen = "unix:{self._folder}/screen.sock"\n')

    @functools.cached_property
    def secure(self) -> Demo:
        return self.demo("secure", f'{TLS}{TICKETS}channels = {{ inputs = "tls" }}\n')

    @functools.cached_property
    def late(self) -> Demo:
        demo = self.demo("late", f"{TLS}{TICKETS}")
        demo.vm.ctl("qmp", "expire_password", json.dumps({"protocol": "spice", "time": "now"}))
        return demo

    @functools.cached_property
    def looked_at(self) -> Demo:
        return self.demo("looked-at", f"{TLS}{TICKETS}")

    @functools.cached_property
    def main_by_tls(self) -> Demo:
        return self.demo("main-by-tls", f'{TLS}{TICKETS}channels = {{ main = "tls" }}\n')

    @functools.cached_property
    def users(self) -> Demo:
        return self.demo("users", f'{TLS}sasl = {{ users = "users" }}\n')

    def sees(self, client: str, demo: str, place) -> str | None:
        """A check: the client sees the picture of the VM of that name, at a place of it."""

        def check() -> None:
            machine = getattr(self, demo)
            at = place(machine)
            if client == WEB:
                self.web.links(at)
            else:
                column = {GTK: Gtk(machine.vm), VIEWER: self.viewer, SPICY: self.spicy}[client]
                column.sees(at, machine.shot)

        return check

    def row(self, feature: str, demo: str, place, **reasons: str) -> Row:
        """All clients see the picture, but for those with a reason."""
        names = {"gtk": GTK, "viewer": VIEWER, "spicy": SPICY, "web": WEB}
        cells = {client: reasons.get(name) or self.sees(client, demo, place) for name, client in names.items()}
        return Row(feature, "the picture, to the pixel; in WebSocket the main channel's INIT", cells)

    def refused(self, feature: str, expected: str, demo: str, place, gtk: str, viewer, spicy: str, code, **more) -> Row:
        """All clients get their error."""

        def at():
            return place(getattr(self, demo))

        cells = {
            GTK: lambda: Gtk(getattr(self, demo).vm).refused(at(), gtk),
            VIEWER: lambda: self.viewer.refused(at(), *viewer),
            SPICY: lambda: self.spicy.refused(at(), spicy),
            WEB: code if isinstance(code, str) else lambda: self.web.refused(at(), *code),
        }
        return Row(feature, expected, cells | more)

    def rows(self) -> list[Row]:
        tls = lambda demo: demo.tls(ticket=TICKET)  # noqa: E731
        denied = (PERMISSION_DENIED, "PERMISSION_DENIED")
        no_auth = ("main channel: auth failure.*", asks_for_password)
        auth = ("main channel: authentication failed", no_auth, "main channel: ERROR_AUTH", denied)
        return [
            self.row("TCP", "open", lambda demo: demo.place(), web=WEB_ONLY),
            self._ipv6(),
            self.row("Unix socket", "unix", lambda _demo: Place(unix=f"{self._folder}/screen.sock")),
            self._websocket("WebSocket", lambda demo: demo.place(ticket=TICKET)),
            self._websocket("WebSocket in TLS, CA checked", tls),
            self.row("TLS, CA checked", "secure", tls, web="is the row of WebSocket in TLS"),
            self.refused(
                "TLS, another CA", "error of TLS", "secure", lambda demo: demo.tls(ca=self.users.ca, ticket=TICKET),
                "main channel: error-tls", ("openssl_verify: Error in server certificate verification.*", only_messages),
                "main channel: ERROR_TLS", "", **{WEB: self.web_wrong_authority},
            ),  # fmt: skip
            self.row("ticket", "main_by_tls", tls, web="is the row of WebSocket, whose VM has a ticket"),
            self.refused(
                "wrong ticket", "authentication failed", "secure", lambda demo: demo.tls(ticket="wrong"), *auth
            ),
            self.refused("expired ticket", "authentication failed", "late", tls, *auth),
            self._view_ticket(),
            self.row(
                "SASL in TLS", "users", lambda demo: demo.tls(user=USER, ticket=TICKET), spicy=NO_USER, web=TICKETS_ONLY
            ),
            self.refused(
                "SASL, wrong password", "authentication failed", "users",
                lambda demo: demo.tls(user=USER, ticket="wrong"), auth[0], no_auth, "", TICKETS_ONLY, **{SPICY: NO_USER},
            ),  # fmt: skip
            self._tls_inputs(),
            self.refused(
                "no TLS, main for TLS alone", "NEED_SECURED; a client without a port for TLS says that it cannot connect",
                "main_by_tls", lambda demo: demo.place(ticket=TICKET), "main channel: connection refused",
                ("main channel: failed to connect.*", only_messages), "main channel: ERROR_CONNECT",
                (NEED_SECURED, "NEED_SECURED"),
            ),  # fmt: skip
            self.row(
                "both ports, main for TLS alone", "main_by_tls", lambda demo: demo.both(ticket=TICKET), web=ONE_PORT
            ),
            self.row(
                "both ports, inputs for TLS alone", "secure", lambda demo: demo.both(ticket=TICKET), web=ONE_PORT
            ),
        ]

    def _ipv6(self) -> Row:
        none = "this machine has no IPv6"
        try:
            with socket.create_server(("::1", 0), family=socket.AF_INET6):
                none = ""
        except OSError:
            pass
        reasons = dict.fromkeys(("gtk", "viewer", "spicy", "web"), none)
        return self.row("IPv6", "six", lambda demo: demo.place(host="::1"), **reasons)

    def _websocket(self, feature: str, place) -> Row:
        reasons = dict.fromkeys(("gtk", "viewer", "spicy"), NO_WEBSOCKET)
        return self.row(feature, "secure", place, **reasons)

    def web_wrong_authority(self) -> str:
        place = self.secure.tls(ca=self.users.ca, ticket=TICKET)
        try:
            self.web.links(place)
        except OSError as error:
            expect("CERTIFICATE_VERIFY_FAILED" in str(error), f"wanted a certificate that is refused: {error}")
            return str(error)
        raise vm.Failed("it linked with a server that it cannot trust")

    def _view_ticket(self) -> Row:
        place = lambda: self.looked_at.tls(ticket=VIEW_TICKET)  # noqa: E731

        def untouched(before: int) -> None:
            """A key of a client that may type is all that the guest has seen since."""
            demo = self.looked_at
            where = demo.tls(ticket=TICKET).gtk()
            demo.vm.client("drive", where=where, steps=[{"do": "key", "scancode": 0x1E}, {"do": "flush"}])
            demo.wait_state(keys=before + 1, buttons=0, motions=0)
            demo.look()

        def gtk() -> str:
            demo = self.looked_at
            keys = demo.state()["keys"]
            looks = replace(place(), only_looks=True)
            Gtk(demo.vm).sees(looks, demo.shot)
            steps = [{"do": "channels"}]
            (answer,) = demo.vm.client("drive", steps=steps, where=looks.gtk())
            expect("inputs" not in answer["channels"], f"it has {answer['channels']}")
            untouched(keys)
            return f"channels {', '.join(answer['channels'])}"

        def viewer() -> None:
            demo = self.looked_at
            keys = demo.state()["keys"]
            with self.viewer.showing(place(), demo.shot) as (viewer, (x, y)):
                viewer.focus()
                viewer.act("key", "a", "mousemove", str(x + 9), str(y + 9), "click", "1")
                untouched(keys)

        cells = {
            GTK: gtk,
            VIEWER: viewer,
            SPICY: self.sees(SPICY, "looked_at", lambda _demo: place()),
            WEB: self.sees(WEB, "looked_at", lambda _demo: place()),
        }
        return Row("ticket for looking", "the picture; what is typed does not arrive", cells)

    def _tls_inputs(self) -> Row:
        place = lambda: self.secure.place(ticket=TICKET)  # noqa: E731
        cells = {
            GTK: lambda: Gtk(self.secure.vm).refused(place(), "inputs channel: connection refused"),
            VIEWER: lambda: self.viewer.lacks_keyboard(place(), self.secure.shot),
            SPICY: NO_INPUTS,
            WEB: lambda: self.web.refused(place(), NEED_SECURED, "NEED_SECURED", INPUTS),
        }
        expected = "NEED_SECURED on inputs; a client without a port for TLS cannot connect there"
        return Row("no TLS, inputs for TLS alone", expected, cells)
