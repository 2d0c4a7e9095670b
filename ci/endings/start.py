"""Starts that must not succeed, and the one line each of them gives."""

from pathlib import Path

from harness import vm
from harness.vm import expect


class Starts:
    """Configurations in a folder of their own and what `caraway run` says to them."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder = folder

    def write(self, text: str, name: str = "vm") -> Path:
        path = self.folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def misconfigured(
        self, text: str, key: str, *words: str, wrapper: list[str] | None = None, check: bool = True
    ) -> str:
        """The message names the line on which `key` is assigned and contains `words`; `caraway check` agrees."""
        path = self.write(text)
        lines = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith(key)]
        expect(len(lines) == 1, f"the test's own mistake: {key!r} is on lines {lines} of {text!r}")
        ended = vm.run_to_end(self.program, ["run", str(path)], wrapper=wrapper)
        one_line(ended, 2, f"{path}:{lines[0]}: ", *words)
        if check:
            checked = vm.run_to_end(self.program, ["check", str(path)], wrapper=wrapper)
            one_line(checked, 2, ended.err.rstrip("\n"))
        return ended.err

    def refused(
        self, text: str, *words: str, wrapper: list[str] | None = None, run_directory: str | None = None
    ) -> str:
        """The host is to blame."""
        path = self.write(text)
        ended = vm.run_to_end(self.program, ["run", str(path)], wrapper=wrapper, run_directory=run_directory)
        one_line(ended, 1, "caraway: ", *words)
        return ended.err


def one_line(ended: vm.Ended, code: int, start: str, *words: str) -> None:
    """One line on standard error, nothing on standard output, nothing left in the run directory."""
    said = f"exit code {ended.code}, stderr {ended.err!r}"
    expect(ended.code == code, f"wanted exit code {code}: {said}")
    expect(ended.err.count("\n") == 1 and ended.err.endswith("\n"), f"wanted one line: {said}")
    expect(ended.err.startswith(start), f"wanted a line that starts with {start!r}: {said}")
    for word in words:
        expect(word in ended.err, f"{word!r} is missing: {said}")
    expect(ended.out == "", f"wanted nothing on standard output: {ended.out!r}")
    expect(ended.left == [], f"left in the run directory: {ended.left}")
