"""`caraway ctl`, every command of it, as a person would use it."""

import json
import random
import string
import subprocess
import time
from collections.abc import Callable

from harness import scene, vm
from harness.vm import expect
from spice import picture

from .demo import LEFT, RIGHT, Demo

SEED = 7
TYPED = 10 * 1024
SHIFTED = set(string.ascii_uppercase + '!@#$%^&*()_+{}|:"~<>?')


class Ctl:
    def __init__(self, demo: Demo) -> None:
        self.demo = demo

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("status, pause, resume", self.status),
            ("reset", self.reset),
            ("screenshot in every form", self.screenshot),
            ("wait-screen", self.wait_screen),
            ("send-key", self.send_key),
            (f"{TYPED} characters typed all arrive", self.type),
            ("type and its escapes", self.escapes),
            ("mouse", self.mouse),
            ("qmp", self.qmp),
            ("ps", self.ps),
            ("VMs that are not there, commands that are wrong", self.wrong),
            ("started with --paused, then resumed", self.paused),
            ("powerdown and quit", self.ends),
        ]

    def ctl(self, *arguments: str) -> str:
        return self.demo.vm.ctl(*arguments).stdout

    def refused(self, code: int, *arguments: str, word: str) -> None:
        done = self.demo.vm.ctl(*arguments, check=False)
        said = f"ctl {' '.join(arguments)}: exit code {done.returncode}: {done.stderr!r}"
        right = done.returncode == code and word in done.stderr and done.stdout == ""
        expect(right, f"wanted {code} and {word!r}: {said}")
        # What clap says about a command line may be longer.
        expect(code == 2 or done.stderr.count("\n") == 1, f"wanted one line: {said}")

    def status(self) -> None:
        expect(self.ctl("status") == "running\n", "status")
        expect(self.ctl("pause") == "" and self.ctl("status") == "paused\n", "pause")
        told = json.loads(self.ctl("status", "--json"))
        wanted = {"name": self.demo.vm.name, "status": "paused", "running": False}
        expect({key: told[key] for key in wanted} == wanted, f"status --json: {told}")
        expect(told["spice"]["port"] == int(self.demo.vm.port), f"status --json: {told}")
        expect(self.ctl("resume") == "" and self.ctl("status") == "running\n", "resume")

    def reset(self) -> None:
        start = len(self.demo.serial.text)
        self.ctl("reset")
        self.demo.serial.wait(r"^demo: ready", start=start)

    def screenshot(self) -> str:
        wanted = self.demo.frozen_hash()
        machine, folder = self.demo.vm, self.demo.folder
        named = folder / "named.png"
        line = self.ctl("screenshot", "-o", str(named))
        expect(line == f"{named}: 1024x768, hash {wanted}\n", f"screenshot -o: {line!r}")
        expect(picture.load(named).checksum() == wanted, "the PNG has other pixels")
        line = machine.ctl("screenshot", folder=folder).stdout
        default = folder / f"{machine.name}.png"
        expect(line == f"{machine.name}.png: 1024x768, hash {wanted}\n", f"screenshot: {line!r}")
        expect(default.read_bytes() == named.read_bytes(), "screenshot without -o")
        command = [str(machine.program), "ctl", machine.name, "screenshot", "-o", "-"]
        raw = subprocess.run(command, env=machine.environment, stdout=subprocess.PIPE, check=True).stdout
        expect(raw == named.read_bytes(), "screenshot -o - writes something else")
        expect(self.ctl("screenshot", "--hash") == f"{wanted}\n", "screenshot --hash")
        expect(self.ctl("screenshot", "--hash", "--head", "0") == f"{wanted}\n", "screenshot --head 0")
        told = json.loads(self.ctl("screenshot", "--json", "-o", str(named)))
        expect(told == {"file": str(named), "width": 1024, "height": 768, "hash": wanted}, f"screenshot --json: {told}")
        pointed = folder / "pointed.png"
        self.ctl("screenshot", "--cursor", "-o", str(pointed))
        compared = picture.compare(picture.load(named), picture.load(pointed))
        count = compared.get("different_pixels", 0)
        expect(0 < count <= 64 * 64, f"with the pointer: {compared}")
        self.refused(1, "screenshot", "--hash", "--head", "9", word="head")
        self.refused(1, "screenshot", "-o", str(folder / "absent" / "a.png"), word="No such file")
        self.refused(2, "screenshot", "--hash", "--json", word="cannot be used")
        self.demo.go()
        return f"{wanted}, the pointer covers {count} pixels"

    def wait_screen(self) -> None:
        wanted = self.demo.frozen_hash()
        self.ctl("wait-screen", "--hash", wanted, "--timeout", "0")
        self.ctl("wait-screen", "--hash", f"0x{wanted.upper()}")
        self.ctl("wait-screen", "--still", "300", "--timeout", "20")
        self.demo.go()
        began = time.monotonic()
        self.refused(1, "wait-screen", "--still", "500", "--timeout", "2", word="did not get there within 2 s")
        seconds = time.monotonic() - began
        expect(2 <= seconds < 20, f"a wait of 2 s took {seconds:.1f} s")
        self.refused(1, "wait-screen", "--hash", "0" * 16, "--timeout", "1", word="its hash is ")
        self.refused(2, "wait-screen", word="--hash")
        self.refused(2, "wait-screen", "--hash", "123", word="16 hexadecimal digits")
        # One that comes later.
        machine = self.demo.vm
        command = [str(machine.program), "ctl", machine.name, "wait-screen", "--hash", scene.expected_hash()]
        start = len(self.demo.serial.text)
        with subprocess.Popen(command, env=machine.environment) as waiting:
            self.ctl("reset")
            self.demo.serial.wait(r"^demo: ready", start=start)
            self.demo.frozen_hash()
            expect(waiting.wait(vm.SECONDS) == 0, "wait-screen missed the picture")
        self.demo.go()

    def send_key(self) -> None:
        count = self.demo.state()["keys"]
        self.ctl("send-key", "a")
        self.demo.wait_state(keys=count + 1)
        self.ctl("send-key", "ctrl-alt-f2", "Shift-Enter", "--hold", "1")
        self.demo.wait_state(keys=count + 6)
        self.refused(2, "send-key", "ctrl-foo", word="foo")
        self.refused(2, "send-key", "ctl", word="did you mean `ctrl`?")
        self.refused(2, "send-key", word="KEYS")
        self.demo.wait_state(keys=count + 6)

    def type(self) -> str:
        chance = random.Random(SEED)
        text = "".join(chance.choices(string.ascii_letters + string.digits + string.punctuation + " \n", k=TYPED))
        count = self.demo.state()["keys"]
        began = time.monotonic()
        self.demo.vm.ctl("type", "-", typed=text)
        seconds = time.monotonic() - began
        keys = len(text) + sum(character in SHIFTED for character in text)
        self.demo.wait_state(keys=count + keys)
        return f"{keys} keys in {seconds:.0f} s"

    def escapes(self) -> None:
        count = self.demo.state()["keys"]
        self.ctl("type", r"a\n\t\b\e\\")
        self.demo.wait_state(keys=count + 6)
        self.ctl("type", "--raw", r"\n")
        self.demo.wait_state(keys=count + 8)
        self.ctl("type", "-x")
        self.demo.wait_state(keys=count + 10)
        self.refused(2, "type", r"\q", word=r"\q")
        self.refused(2, "type", "\u20ac", word="US keyboard")
        self.refused(2, "type", "a" * 65_537, word="65537")
        self.demo.wait_state(keys=count + 10)

    def mouse(self) -> None:
        at = self.demo.state()
        self.ctl("mouse", "move", "--", "-11", "7")
        self.demo.wait_state(x=at["x"] - 11, y=at["y"] + 7)
        self.ctl("mouse", "move", "11", "-7")
        self.demo.wait_state(x=at["x"], y=at["y"])
        self.ctl("mouse", "down", "left")
        self.demo.wait_state(buttons=LEFT)
        self.ctl("mouse", "down", "right")
        self.demo.wait_state(buttons=LEFT | RIGHT)
        self.ctl("mouse", "up", "left")
        self.ctl("mouse", "up", "right")
        self.demo.wait_state(buttons=0)
        packets = self.demo.state()["motions"]
        self.ctl("mouse", "click", "middle", "--count", "3")
        self.demo.wait_state(buttons=0, motions=packets + 6)
        self.ctl("mouse", "wheel", "5")
        self.ctl("mouse", "wheel", "-7")
        self.demo.wait_state(wheel=at["wheel"] - 2)
        self.refused(2, "mouse", "click", "top", word="top")
        self.refused(2, "mouse", "wheel", "1000", word="1000")

    def qmp(self) -> None:
        expect(json.loads(self.ctl("qmp", "query-name")) == {"name": self.demo.vm.name}, "qmp query-name")
        request = '{"execute": "query-status", "id": 1}'
        expect(json.loads(self.ctl("qmp", request))["running"] is True, "qmp with a whole request")
        path = self.demo.folder / "by-qmp.ppm"
        self.ctl("qmp", "screendump", json.dumps({"filename": str(path)}))
        expect(path.read_bytes().startswith(b"P6\n"), "qmp screendump")
        self.refused(1, "qmp", "nonsense", word="The command nonsense has not been found")
        self.refused(1, "qmp", "screendump", word="Parameter 'filename' is missing")
        self.refused(2, "qmp", "stop", "[]", word="no JSON object")
        self.refused(2, "qmp", "{", word="no JSON")

    def ps(self) -> None:
        machine = self.demo.vm

        def list_all(*arguments: str) -> str:
            done = subprocess.run(
                [str(machine.program), "ps", *arguments], env=machine.environment, capture_output=True, text=True,
                timeout=vm.SECONDS, check=False,
            )  # fmt: skip
            expect((done.returncode, done.stderr) == (0, ""), f"ps: {done}")
            return done.stdout

        head, line = list_all().splitlines()
        expect(head.split() == ["NAME", "PID", "STATE", "SCREEN", "BROWSER", "CONFIG"], f"ps: {head!r}")
        wanted = [
            machine.name, str(machine.process.pid), "running", machine.places["screen"], machine.places["browser"], "-",
        ]  # fmt: skip
        expect(line.split() == wanted, f"ps: {line!r}")
        (told,) = json.loads(list_all("--json"))
        expect(told["pid"] == machine.process.pid and told["control"] == machine.places["control"], f"ps: {told}")

    def wrong(self) -> None:
        machine = self.demo.vm

        def of(name: str, *arguments: str) -> subprocess.CompletedProcess:
            command = [str(machine.program), "ctl", name, *arguments]
            return subprocess.run(command, env=machine.environment, capture_output=True, text=True, check=False)

        done = of("nobody", "status")
        expect(done.returncode == 1 and f"{machine.name} is" in done.stderr, f"an unknown VM: {done}")
        done = of("../demo", "status")
        expect(done.returncode == 1 and done.stderr.count("\n") == 1, f"a path that is no socket: {done}")
        done = of(machine.places["control"], "status")
        expect((done.returncode, done.stdout) == (0, "running\n"), f"by the socket's path: {done}")
        done = of(machine.places["serial"], "status")
        expect(done.returncode == 1 and "QMP" in done.stderr and done.stderr.count("\n") == 1, f"a console: {done}")
        done = of(machine.name, "explode")
        expect(done.returncode == 2 and "explode" in done.stderr, f"an unknown command: {done}")

    def paused(self) -> None:
        with vm.Vm(self.demo.vm.program, ["--paused"]) as machine:
            expect(machine.ctl("status").stdout == "prelaunch\n", "it is not held before the first instruction")
            # Before any surface: 640 by 480 and black.
            told = json.loads(machine.ctl("screenshot", "--json", "-o", str(self.demo.folder / "black.png")).stdout)
            expect((told["width"], told["height"]) == (640, 480), f"before the start: {told}")
            expect(not picture.load(self.demo.folder / "black.png").pixels.any(), "the screen is not black")
            machine.ctl("pause")
            expect(machine.ctl("status").stdout == "prelaunch\n", "pause before the start")
            serial = machine.serial()
            machine.ctl("resume")
            serial.wait(r"^demo: ready")
            expect(machine.ctl("status").stdout == "running\n", "it does not run")
            machine.ctl("quit")
            expect((machine.wait(10), machine.errors()) == (0, ""), f"{machine.errors()}")

    def ends(self) -> None:
        for command in ("powerdown", "quit"):
            with vm.Vm(self.demo.vm.program, []) as machine:
                machine.serial().wait(r"^demo: ready")
                machine.ctl(command)
                if command == "quit":
                    # It has waited for the end.
                    code = machine.process.poll()
                    expect(code == 0, f"after ctl quit the exit code is {code}")
                expect((machine.wait(), machine.errors()) == (0, ""), f"{command}: {machine.errors()}")
                done = machine.ctl("status", check=False)
                expect(done.returncode == 1 and "no VM" in done.stderr, f"after the end: {done}")
