"""What clients do once they are connected: picture, keys, lights, pointer, its shapes, heads, clipboard."""

import contextlib
import functools
import re
import time
from collections.abc import Callable
from pathlib import Path

from harness import scene, vm
from harness.replay import Replay
from harness.vm import expect
from harness.watcher import Watcher
from spice import picture
from spice.programs import Viewer as Window
from vga import shots

from . import cursors
from .columns import SECONDS, Gtk, Place
from .connections import LOOKS_NO_FURTHER, NO_KEYBOARD, Connections, Demo
from .table import GTK, SPICY, VIEWER, WEB, Row

NO_MOUSE = "has no mouse"
NO_CLIPBOARD = "has no clipboard"
NO_POINTER = "leaves the pointer out of its picture"
NO_TABLET = "the demo guest has no driver for the tablet: ci/suites/linux has spice-gtk and Debian's"
NOT_CONNECTED = "has ended when it has one picture"
# Scan codes, set 1, of presses and releases that remote-viewer is asked for by the names of X.
TYPED = {
    "a": [0x1E, 0x9E], "shift+b": [0x2A, 0x30, 0xB0, 0xAA], "7": [0x08, 0x88], "Return": [0x1C, 0x9C],
    "Left": [0xE0, 0x4B, 0xE0, 0xCB], "F5": [0x3F, 0xBF], "period": [0x34, 0xB4],
}  # fmt: skip
CAPS_KEY, CAPS = 0x3A, 4
LEFT, RIGHT = 1, 3
# Of the agent: clipboard by demand.
BY_DEMAND = 5
# Shown in turn, of different sizes.
MODES = ("mode-13", "vbe-112", "vbe-115", "vbe-144")
POLL_SECONDS = 0.05
# Motions after which remote-viewer, which swallows the first one of a grab, has told of one.
FIRST_MOTIONS = 50


class Uses:
    """The rows, and the VMs they need."""

    def __init__(self, connections: Connections, program: Path, folder: Path, stack: contextlib.ExitStack) -> None:
        self._by, self._program, self._folder, self._stack = connections, program, folder, stack
        # All that was typed at `typed`.
        self._events = ""

    @functools.cached_property
    def used(self) -> Demo:
        return self._by.demo("used", 'listen = "127.0.0.1:0"\n')

    @functools.cached_property
    def typed(self) -> Demo:
        return self._by.demo("typed", 'listen = "127.0.0.1:0"\n')

    @contextlib.contextmanager
    def gtk(self, demo: Demo):
        """A spice-gtk client that stays."""
        with Gtk(demo.vm).watch("spice-gtk", demo.place()) as client:
            yield client

    @contextlib.contextmanager
    def viewer(self, demo: Demo):
        """remote-viewer with the keyboard, and where the picture is on its screen."""
        demo.look()
        with self._by.viewer.showing(demo.place(), demo.shot) as (viewer, at):
            viewer.focus()
            yield viewer, at

    def rows(self) -> list[Row]:
        return [
            Row(
                "picture, drawn anew by the guest", "the picture, to the pixel",
                {GTK: self.gtk_redraw, VIEWER: self.viewer_redraw, SPICY: NOT_CONNECTED, WEB: LOOKS_NO_FURTHER},
            ),
            Row(
                "resolution changes while connected", "each picture, to the pixel",
                {GTK: self.gtk_modes, VIEWER: self.viewer_modes, SPICY: self.spicy_modes, WEB: LOOKS_NO_FURTHER},
            ),
            Row(
                "two heads", "places of both, and their halves of the picture",
                {GTK: self.gtk_heads, VIEWER: self.viewer_heads, SPICY: self.spicy_heads, WEB: LOOKS_NO_FURTHER},
            ),
            self.row("keys", "scan codes, as the guest's picture shows them", self.gtk_keys, self.viewer_keys),
            self.row("lights, client to guest", "the guest's lights are the client's", self.gtk_lights, self.viewer_lights),
            self.row(
                "lights, guest to client", "the client is told", self.gtk_told_lights, self.viewer_told_lights
            ),
            self.row(
                "mouse, server mode", "motions, buttons and wheel as they were", self.gtk_mouse, self.viewer_mouse,
                NO_MOUSE,
            ),
            self.row(
                "mouse, client mode, by the agent", "the pointer is where the client's is", self.gtk_points,
                self.viewer_points, NO_MOUSE,
            ),
            self.row(
                "mouse, the agent comes and goes", "client mode with it, server mode without", self.gtk_switches,
                self.viewer_switches, NO_MOUSE,
            ),
            Row(
                "mouse, client mode, by the tablet", "the pointer is where the client's is",
                {GTK: NO_TABLET, VIEWER: NO_TABLET, SPICY: NO_MOUSE, WEB: LOOKS_NO_FURTHER},
            ),
            self.row("clipboard, both ways", "the text", self.gtk_clipboard, self.viewer_clipboard, NO_CLIPBOARD),
            *(self.cursor(kind) for kind in cursors.TYPES),
            self.again(),
        ]  # fmt: skip

    def row(self, feature: str, expected: str, gtk, viewer, spicy: str = NO_KEYBOARD) -> Row:
        """A row for clients with keyboard and mouse, which talk to `used`."""
        return Row(feature, expected, {GTK: gtk, VIEWER: viewer, SPICY: spicy, WEB: LOOKS_NO_FURTHER})

    def shows(self, client: Watcher, shot: Path) -> None:
        answer = client.step("wait-equal", file=str(shot), seconds=SECONDS)
        expect(answer["equal"], f"it does not show the picture: {answer}")

    def window_shows(self, viewer: Window, wanted: picture.Picture, what: str) -> tuple[int, int]:
        found = viewer.find(wanted, SECONDS)
        expect(found["found"], f"{what} is not shown: {found}; it said: {viewer.log()[-1500:]}")
        return found["x"], found["y"]

    def gtk_redraw(self) -> None:
        with self.gtk(self.used) as client:
            client.step("mark")
            self.used.serial.ask("redraw", r"^redrawn")
            self.used.look()
            self.shows(client, self.used.shot)

    def viewer_redraw(self) -> None:
        with self.viewer(self.used) as (viewer, _):
            self.used.serial.ask("redraw", r"^redrawn")
            self.used.look()
            self.window_shows(viewer, picture.load(self.used.shot), "the picture")

    @functools.cached_property
    def bios(self) -> tuple[vm.Vm, shots.Guest]:
        """A guest that sets modes of a VGA BIOS."""
        expect(shots.ROM.exists(), f"{shots.ROM} is not there: install the package seabios (ci/setup)")
        config = self._folder / "bios.toml"
        config.write_text(
            f'name = "bios"\nmemory = "64 MiB"\n[boot]\nkernel = "{vm.guest("caraway-vga-bios")}"\n'
            f'[display.advanced]\noption_rom = "{shots.ROM}"\n[spice]\nlisten = "127.0.0.1:0"\n', encoding="utf-8",
        )  # fmt: skip
        machine = self._stack.enter_context(vm.Vm(self._program, [str(config)]))
        guest = shots.Guest(machine.serial())
        guest.wait_ready()
        return machine, guest

    def modes(self, shows: Callable[[Path], None]) -> str:
        """Each mode is set, and shown."""
        sizes = []
        for name in MODES:
            (shot,) = [shot for shot in shots.SHOTS if shot.name == name]
            self.bios[1].show(shot.commands)
            file = shots.PICTURES / f"{name}.png"
            shows(file)
            sizes.append(f"{picture.load(file).width}x{picture.load(file).height}")
        return ", ".join(sizes)

    def gtk_modes(self) -> str:
        machine, _ = self.bios
        with Gtk(machine).watch("modes", Place(port=machine.port)) as client:
            return self.modes(lambda file: self.shows(client, file))

    def viewer_modes(self) -> str:
        machine, _ = self.bios
        with self._by.viewer.at(Place(port=machine.port)) as viewer:
            return self.modes(lambda file: self.window_shows(viewer, picture.load(file), file.name) and None)

    def spicy_modes(self) -> str:
        """At the next connection."""
        machine, guest = self.bios

        def shows(file: Path) -> None:
            # One that is connected knows when the screen has it.
            with Gtk(machine).watch("modes", Place(port=machine.port)) as client:
                self.shows(client, file)
            self._by.spicy.sees(Place(port=machine.port), file)

        return self.modes(shows)

    @contextlib.contextmanager
    def two_heads(self):
        self.used.serial.ask("heads 2", r"^heads 2")
        try:
            yield
        finally:
            self.used.serial.ask("heads 1", r"^heads 1")

    def gtk_heads(self) -> str:
        with self.gtk(self.used) as client:
            with self.two_heads():
                seen = client.step("monitors", count=2)["monitors"]
                places = [[head[key] for key in ("x", "y", "width", "height")] for head in seen]
                expect(places == [[0, 0, 512, 768], [512, 0, 512, 768]], f"heads {seen}")
            client.step("monitors", count=1)
        return "512x768+0+0 and 512x768+512+0, and one again"

    def viewer_heads(self) -> str:
        with self.viewer(self.used) as (viewer, _):
            with self.two_heads():
                viewer.act("windowmove", "--sync", viewer.window(2), "1000", "0")
                whole = picture.load(self.used.shot).pixels
                for half, name in [(whole[:, :512], "left"), (whole[:, 512:], "right")]:
                    self.window_shows(viewer, picture.Picture(half), f"the {name} half")
            titles = lambda: list(viewer.windows().values())  # noqa: E731
            viewer.wait(lambda: "viewed (2)" not in titles(), SECONDS, "end of the second window")
        return "two windows, and one again"

    def spicy_heads(self) -> str:
        with self.two_heads():
            self.used.look()
            self._by.spicy.sees(self.used.place(), self.used.shot)
        return "the whole surface"

    def typed_well(self, codes: list[int]) -> None:
        """Waits until the guest's picture is the one after all that was typed here, as it is computed on the host."""
        self._events += "".join(f"key {code:x}\n" for code in codes)
        wanted = scene.expected_hash(self._events)
        limit = time.monotonic() + vm.SECONDS
        while (seen := self.typed.serial.ask("hash", r"^hash ([0-9a-f]{16})\r?$")[1]) != wanted:
            expect(time.monotonic() < limit, f"the guest's picture has {seen}, that of the keys {wanted}")

    def gtk_keys(self) -> str:
        with self.gtk(self.typed) as client:
            codes = [code for key in TYPED.values() for code in key]
            # Of spice-gtk keys with a prefix are numbers from 100h on.
            extended = False
            for code in codes:
                if code == 0xE0:
                    extended = True
                    continue
                client.step("key", scancode=code & 0x7F | 0x100 * extended, down=not code & 0x80)
                extended = False
            client.step("flush")
            self.typed_well(codes)
        return ", ".join(TYPED)

    def viewer_keys(self) -> str:
        with self.viewer(self.typed) as (viewer, _):
            viewer.act("key", *TYPED)
            self.typed_well([code for key in TYPED.values() for code in key])
        return ", ".join(TYPED)

    def gtk_lights(self) -> None:
        with self.gtk(self.used) as client:
            for on in (CAPS, 0):
                client.step("locks", on=on)
                client.step("flush")
                self.used.wait_state(lights=on)
                client.step("wait-locks", on=on)

    def viewer_lights(self) -> str:
        """What was switched while another window had the keyboard."""
        with self.viewer(self.used) as (viewer, _):
            keys = self.used.state()["keys"]
            for on in (CAPS, 0):
                viewer.act("windowfocus", "--sync", viewer.other_window())
                viewer.act("key", "Caps_Lock")
                viewer.focus()
                self.used.wait_state(lights=on)
            said = self.used.state()
            expect(said["keys"] == keys + 2, f"the guest has seen {said['keys'] - keys} presses, not 2")
        return "when its window gets the keyboard"

    def press_caps(self, client: Watcher) -> None:
        client.step("key", scancode=CAPS_KEY)
        client.step("flush")

    def gtk_told_lights(self) -> str:
        # A client that comes says that its lights are off, and they are then.
        with self.gtk(self.used) as client, self.gtk(self.used) as other:
            for one in (client, other):
                one.step("wait-locks", on=0)
            for on in (CAPS, 0):
                self.press_caps(other)
                client.step("wait-locks", on=on)
        return "whoever presses the key"

    def viewer_told_lights(self) -> str:
        """Its own lights count: it switches the guest's back."""
        with self.viewer(self.used) as (viewer, _), self.gtk(self.used) as other:
            other.step("wait-locks", on=0)
            keys = self.used.state()["keys"]
            self.press_caps(other)
            told = r"inputs-3:0: client_modifiers:0x0, guest_modifiers:0x4"
            viewer.wait(lambda: told in viewer.log(), SECONDS, f"{told!r} in its log")
            self.used.wait_state(keys=keys + 2, lights=0)
        return "and switches the guest's back to its own"

    def server_mode(self) -> dict[str, int]:
        """The guest has no agent that moves the pointer; what it has seen until now."""
        self.used.serial.ask("pointer mouse", r"^pointer mouse")
        return self.used.state()

    def gtk_moves(self, client: Watcher) -> None:
        before = self.used.state()
        client.step("motion", dx=12, dy=-7)
        client.step("button", button=RIGHT, down=True, buttons=0)
        client.step("flush")
        x, y = before["x"] + 12, before["y"] - 7
        self.used.wait_state(x=x, y=y, buttons=2)
        client.step("button", button=RIGHT, down=False, buttons=4)
        for down in (True, False):
            client.step("button", button=5, down=down, buttons=0)
        client.step("flush")
        self.used.wait_state(x=x, y=y, buttons=0, wheel=before["wheel"] + 1)
        expect(self.used.state()["motions"] > before["motions"], "the PS/2 mouse has reported nothing")

    def gtk_mouse(self) -> None:
        self.server_mode()
        with self.gtk(self.used) as client:
            mode = client.step("mouse-mode")["mouse_mode"]
            expect(mode == "server", f"mouse mode {mode}")
            self.gtk_moves(client)

    def grab(self, viewer: Window, at: tuple[int, int]) -> dict[str, int]:
        """Has remote-viewer take the pointer, and moves it until the first motion arrives; what the guest has seen."""
        before = self.used.state()
        viewer.act("mousemove", str(at[0] + 512), str(at[1] + 384), "click", str(LEFT))
        for _ in range(FIRST_MOTIONS):
            viewer.act("mousemove_relative", "1", "0")
            limit = time.monotonic() + POLL_SECONDS
            while time.monotonic() < limit:
                seen = self.used.state()
                if seen["x"] != before["x"]:
                    return self.rested()
        raise vm.Failed(f"the guest's pointer stays at {before['x']}, {before['y']}; it said: {viewer.log()[-1500:]}")

    def rested(self) -> dict[str, int]:
        """What the guest has seen when that is the same twice; a key in between has gone the way of all motions."""
        seen = self.used.state()
        while (now := self.used.state()) != seen:
            seen = now
        return seen

    def viewer_moves(self, viewer: Window, at: tuple[int, int]) -> None:
        before = self.grab(viewer, at)
        viewer.act("mousemove_relative", "--", "-30", "-17")
        x, y = before["x"] - 30, before["y"] - 17
        self.used.wait_state(x=x, y=y)
        viewer.act("mousedown", str(RIGHT))
        self.used.wait_state(x=x, y=y, buttons=2)
        viewer.act("mouseup", str(RIGHT), "click", "5")
        self.used.wait_state(x=x, y=y, buttons=0, wheel=before["wheel"] + 1)

    def viewer_mouse(self) -> str:
        self.server_mode()
        with self.viewer(self.used) as (viewer, at):
            self.viewer_moves(viewer, at)
        return "when it has grabbed the pointer"

    def agent_points(self) -> None:
        self.used.serial.ask("pointer agent", r"^pointer agent")

    def gtk_places(self, client: Watcher) -> None:
        """Places, a button and the wheel in client mode; nothing by the PS/2 mouse."""
        before = self.used.state()
        client.step("want-mouse-mode", client=True)
        for x, y in [(100, 50), (1023, 767), (0, 0), (640, 480)]:
            client.step("position", x=x, y=y)
            client.step("flush")
            self.used.wait_state(x=x, y=y)
        client.step("button", button=RIGHT, down=True, buttons=0)
        client.step("flush")
        self.used.wait_state(buttons=2)
        client.step("button", button=RIGHT, down=False, buttons=4)
        client.step("flush")
        self.used.wait_state(buttons=0, motions=before["motions"])

    def gtk_points(self) -> None:
        self.server_mode()
        with self.gtk(self.used) as client:
            self.agent_points()
            self.gtk_places(client)

    def viewer_places(self, viewer: Window, at: tuple[int, int]) -> None:
        self.agent_points()
        viewer.wait(lambda: self.points(viewer, at, 300, 200), SECONDS, "client mode")
        before = self.used.state()
        for x, y in [(100, 50), (640, 480), (1000, 700)]:
            viewer.act("mousemove", str(at[0] + x), str(at[1] + y))
            self.used.wait_state(x=x, y=y)
        viewer.act("mousedown", str(RIGHT))
        self.used.wait_state(buttons=2)
        viewer.act("mouseup", str(RIGHT), "click", "5")
        self.used.wait_state(buttons=0, wheel=before["wheel"] + 1, motions=before["motions"])

    def points(self, viewer: Window, at: tuple[int, int], x: int, y: int) -> bool:
        """Whether the guest's pointer goes where the window's does: from then on it does."""
        viewer.act("mousemove", str(at[0] + x + 1), str(at[1] + y), "mousemove", str(at[0] + x), str(at[1] + y))
        seen = self.used.state()
        return (seen["x"], seen["y"]) == (x, y)

    def viewer_points(self) -> None:
        self.server_mode()
        with self.viewer(self.used) as (viewer, at):
            self.viewer_places(viewer, at)

    def gtk_switches(self) -> str:
        self.server_mode()
        with self.gtk(self.used) as client:
            self.agent_points()
            self.gtk_places(client)
            # While it may be the client's, the client may ask for the server's.
            client.step("want-mouse-mode", client=False)
            self.gtk_moves(client)
            self.gtk_places(client)
            self.server_mode()
            client.step("wait-mouse-mode", client=False)
            self.gtk_moves(client)
            self.agent_points()
            self.gtk_places(client)
        return "and by the client's wish"

    def viewer_switches(self) -> None:
        self.server_mode()
        with self.viewer(self.used) as (viewer, at):
            self.viewer_places(viewer, at)
            self.server_mode()
            self.viewer_moves(viewer, at)
            self.viewer_places(viewer, at)

    def gtk_clipboard(self) -> None:
        with self.gtk(self.used) as client:
            client.step("agent", can=[BY_DEMAND])
            client.step("copy", text="of spice-gtk")
            client.step("offered")
            pasted = client.step("paste")["text"]
            expect(pasted == "OF SPICE-GTK", f"pasted {pasted!r}")

    def viewer_clipboard(self) -> None:
        with self.viewer(self.used) as (viewer, _):
            viewer.copy("of remote-viewer")
            viewer.wait(lambda: viewer.paste() == "OF REMOTE-VIEWER", SECONDS, "text of the guest in the clipboard")

    def cursor(self, kind: str) -> Row:
        """A recording with a shape, played to a client."""
        recording = self._folder / "pointer.rec"

        def gtk() -> str:
            cursors.record(kind, recording)
            with Replay(self._program, recording, "--fast", "--hash") as replay:
                told = replay.at_end()
                plain = cursors.screen(None).checksum()
                expect(told == plain, f"the recording ends with {told}, not {plain}")
                with Gtk(replay).watch(kind, Place(port=replay.port)) as client:
                    seen = client.step("cursor-shape")["shape"]
            size = [cursors.SIDE, cursors.SIDE]
            expect((seen["size"], seen["hot"]) == (size, list(cursors.HOT)), f"the shape is {seen}")
            different = cursors.different(kind, bytes.fromhex(seen["rgba"]))
            expect(not different, f"{len(different)} pixels differ; the first (x, y, is, should be): {different[:1]}")
            return f"{cursors.SIDE}x{cursors.SIDE}, each pixel"

        def viewer() -> None:
            cursors.record(kind, recording)
            with (
                Replay(self._program, recording, "--wait") as replay,
                self._by.viewer.at(Place(port=replay.port)) as window,
            ):
                x, y = self.window_shows(window, cursors.screen(None), "the screen")
                # Only while it has grabbed the pointer it draws the guest's.
                window.focus()
                window.act("mousemove", str(x + 5), str(y + 5), "click", str(LEFT))
                self.window_shows(window, cursors.screen(kind), "the pointer on the screen")

        cells = {GTK: gtk, VIEWER: viewer, SPICY: NO_POINTER, WEB: LOOKS_NO_FURTHER}
        return Row(f"pointer, {kind}", "size, hot spot, and each pixel that is not seen through", cells)

    def again(self) -> Row:
        """The server is killed, and another one is where it was."""
        path = self._folder / "again.sock"
        place = Place(unix=str(path))
        start = lambda: Demo(self._program, self._folder, "again", f'listen = "unix:{path}"\n')  # noqa: E731

        def gtk() -> str:
            with start() as first, Gtk(first.vm).watch("one that is cut off", place) as client:
                client.step("mark")
                first.vm.process.kill()
                answer = client.ask("wait-blank")
                told = re.search(r"\w+ channel: (?:closed|error-io).*", answer.get("error", ""))
                expect(told, f"it notices nothing: {answer}")
            with start() as second:
                Gtk(second.vm).sees(place, second.shot)
            return told[0]

        def viewer() -> str:
            with start() as first, self._by.viewer.showing(place, first.shot) as (window, _):
                first.vm.process.kill()
                closed = r"main channel: (?:closed|failed to connect|unhandled|error).*"
                said = window.found(closed, SECONDS)
                window.wait(lambda: not any(window.windows().values()), SECONDS, "end of its display")
            with start() as second:
                self._by.viewer.sees(place, second.shot)
            return said

        def spicy() -> None:
            for _ in range(2):
                with start() as demo:
                    self._by.spicy.sees(place, demo.shot)
                    demo.vm.process.kill()

        def web() -> None:
            for _ in range(2):
                with start() as demo:
                    self._by.web.links(place)
                    demo.vm.process.kill()

        cells = {GTK: gtk, VIEWER: viewer, SPICY: spicy, WEB: web}
        return Row("the server is killed and there again", "told of it; a new connection is as the first", cells)
