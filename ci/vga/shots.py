"""What the VGA suite looks at: the commands that bring a screen about, and the pictures it has.

`ci/vga/make-pictures` runs the same commands in QEMU; the guest is guest-drivers/vga-bios.
"""

from dataclasses import dataclass
from pathlib import Path

from harness.vm import CHECKOUT, Serial, expect

PICTURES = CHECKOUT / "ci" / "suites" / "vga-pictures"
ROM = Path("/usr/share/seabios/vgabios-qxl.bin")
READY = r"^vga-bios: (.*)\r\n"

# int 10h calls, as `int10 AX BX CX DX`.
NO_BLINK = "int10 1003 0 0 0"
NO_CURSOR = "int10 0100 0 2000 0"
DAC_OF_8_BITS = "int10 4f08 0800 0 0"
LINES_OF_1024 = "int10 4f06 0 400 0"
SHOWN_FROM_40_20 = "int10 4f07 0 40 20"

# Bits of red, green and blue that a mode has.
DAC = (6, 6, 6)
RGB555 = (5, 5, 5)
RGB565 = (5, 6, 5)
RGB888 = (8, 8, 8)


@dataclass(frozen=True)
class Shot:
    """One screen."""

    name: str
    commands: list[str]
    # Names of the pictures it shows in turn; one of its own name if empty.
    pictures: tuple[str, ...] = ()
    bits: tuple[int, int, int] = DAC
    # How QEMU is brought to show each picture, if by other commands.
    reference: tuple[list[str], ...] = ()
    # A SPICE client is waited for as well.
    watched: bool = False

    def shown(self) -> tuple[str, ...]:
        return self.pictures or (self.name,)


def text(name: str) -> Shot:
    """Text with a cursor that blinks."""
    return Shot(
        name,
        ["mode 03", NO_BLINK, "draw"],
        ("text", "text-cursor"),
        reference=(["mode 03", NO_BLINK, NO_CURSOR, "draw"], ["mode 03", NO_BLINK, "draw"]),
        watched=True,
    )


def vbe(mode: str, bits: tuple[int, int, int], picture: str | None = None, watched: bool = False) -> Shot:
    """A VBE mode by its linear frame buffer; `picture` where that of another mode is the same."""
    return Shot(f"vbe-{mode}", [f"vbe {mode}", "draw"], (picture,) if picture else (), bits=bits, watched=watched)


def banked(mode: str, bits: tuple[int, int, int]) -> Shot:
    """A VBE mode through the window; the picture is the same."""
    return Shot(f"vbe-{mode}-banked", [f"banked {mode}", "draw"], (f"vbe-{mode}",), bits=bits)


SHOTS = [
    text("text"),
    Shot(
        "text-blink",
        ["mode 03", NO_CURSOR, "draw"],
        ("text-blink-shown", "text-blink-hidden"),
        reference=(["mode 03", NO_CURSOR, "draw shown"], ["mode 03", NO_CURSOR, "draw hidden"]),
    ),
    Shot("text-40", ["mode 01", NO_BLINK, NO_CURSOR, "draw"]),
    Shot("mode-12", ["mode 12", "draw"], watched=True),
    Shot("mode-13", ["mode 13", "draw"], watched=True),
    Shot("mode-04", ["mode 04", "draw"]),
    Shot("mode-06", ["mode 06", "draw"]),
    Shot("mode-0d", ["mode 0d", "draw"]),
    Shot("mode-10", ["mode 10", "draw"]),
    vbe("101", DAC),
    Shot("vbe-101-dac-8", ["vbe 101", DAC_OF_8_BITS, "draw"], bits=RGB888),
    banked("101", DAC),
    vbe("103", DAC),
    vbe("110", RGB555),
    vbe("111", RGB565, watched=True),
    vbe("112", RGB888),
    vbe("113", RGB555),
    vbe("114", RGB565),
    vbe("115", RGB888),
    Shot("vbe-102", ["vbe 102", "draw"], reference=(["mode 6a", "draw"],)),
    vbe("142", RGB888, "vbe-112"),
    vbe("143", RGB888, "vbe-115"),
    Shot("vbe-142-panned", ["vbe 142", LINES_OF_1024, "draw", SHOWN_FROM_40_20], bits=RGB888),
    vbe("144", RGB888, watched=True),
    text("text-again"),
]


class Guest:
    """The guest at the other end of its serial port."""

    def __init__(self, serial: Serial) -> None:
        self.serial = serial

    def wait_ready(self) -> None:
        said = self.serial.wait(READY)[1]
        expect(said == "ready", f"the guest says: {said}")

    def command(self, line: str) -> str:
        """Has a command carried out; all it printed, `done` and what follows in its last line. Mode sets succeed."""
        start = len(self.serial.text)
        answer = self.serial.ask(line, r"^(done|failed)\b(.*)\r\n")
        expect(answer[1] == "done", f"{line}: the guest says {answer[0].strip()}")
        if line.startswith(("vbe", "banked", "int10 4f")):
            expect(" ax=004f" in answer[2], f"{line}: the BIOS answers {answer[2].strip()}")
        return self.serial.text[start : answer.end()].replace("\r", "")

    def show(self, commands: list[str]) -> None:
        for line in commands:
            self.command(line)
