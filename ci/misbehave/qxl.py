"""The display driver on a device that misbehaves: it resets the device, gives it up or does not see it, and shows all again."""

import re
from dataclasses import dataclass

from harness.vm import Failed, expect

from .guest import LIES_STEP, Guest, kinds

DEVICE = "qxl"
PLACE = "0000:00:01.0"
DRIVER = "/sys/bus/pci/drivers/caraway_qxl"
# How long the driver waits for a device that gives nothing back, in seconds.
SOON = "echo 2 >/sys/module/caraway_qxl/parameters/patience"
# One change of the console; many; and ports, for a second head is turned on or off.
LETTER = "printf x >/dev/tty1"
LINES = r"i=0; while [ $i -lt 30 ]; do printf '\033[3%dmline %d of many\033[m\n' $((i % 7 + 1)) $i; i=$((i + 1)); done >/dev/tty1"
HEADS = "[ x$second = xon ] && second=off || second=on; echo $second >$(echo /sys/class/drm/card*-Virtual-2/status)"
INT_ERROR, INT_CLIENT_MONITORS = 0x08, 0x20
RESET = "the device is reset"
# In a minute; after them the driver gives the device up, until it is bound again.
RESETS = 3


@dataclass(frozen=True)
class Case:
    """A fault, what the guest does meanwhile, until it has acted so often, and the line that the driver logs."""

    fault: str
    value: int = 0
    count: int | None = 1
    drive: str = LETTER
    acts: int = 1
    says: str | None = None

    @property
    def name(self) -> str:
        """What the check is called."""
        return f"qxl: {self.fault}" + (f" {self.value:#x}" if self.value else "")


CASES = (
    Case("release-unknown", 257, says=f"released that was not sent.*{RESET}"),
    Case("release-unknown", -1, says=f"released that was not sent.*{RESET}"),
    Case("release-twice", says=f"released that was not sent.*{RESET}"),
    Case("release-loop", says=f"released that was not sent.*{RESET}"),
    Case("release-empty", says=f"chain of released commands is empty.*{RESET}"),
    Case("release-early"),
    Case("release-never", count=None, drive=f"{SOON}; {LINES}", says=f"does not come back.*{RESET}"),
    Case("release-producer", 9, says=f"release ring has more items.*{RESET}"),
    Case("release-producer", -1000, says=f"release ring has more items.*{RESET}"),
    Case("command-consumer", 40, says=f"ring has more commands.*{RESET}"),
    Case("command-consumer", -1000, says=f"ring has more commands.*{RESET}"),
    Case("command-consumer", 0x7FFFFFFF, says=f"ring has more commands.*{RESET}"),
    Case("marks-never", count=None, drive=LINES),
    Case("interrupts-lost", drive=HEADS, says=f"port does not answer.*{RESET}"),
    # It begins with the interrupt of a port.
    Case("interrupts-storm", INT_CLIENT_MONITORS, 3000, drive=HEADS, acts=3000),
    Case("interrupts-storm", INT_ERROR, drive=HEADS, says=f"does not understand.*{RESET}"),
    Case("pending-unknown", 0x7FFFFF80, None, drive=HEADS),
    Case("ports-silent", drive=HEADS, says=f"port does not answer.*{RESET}"),
    Case("ports-twice", count=None, drive=HEADS),
    Case("ports-error", drive=HEADS, says=f"does not understand.*{RESET}"),
    Case("client-flaps", count=None, drive=LINES),
    Case("monitors-count", 65535, None),
    Case("monitors-negative", count=None),
    Case("monitors-inverted", count=None),
    Case("monitors-huge", count=None),
    Case("monitors-checksum", count=None),
    Case("ram-command-items", 0, drive=LINES),
    Case("ram-command-notify", 0x12345678, drive=LINES),
    # Who sees it first, the driver or the device, is up to them.
    Case("ram-scribble", -1, says=f"(more (commands|items) than places|does not understand).*{RESET}"),
)
# What the driver looks at when it is bound.
LIES = (
    Case("rom-magic", 0x58585858, says="magic of the ROM is 0x58585858"),
    Case("rom-ram-header-offset", 0x4000000, says="RAM header is at 0x4000000"),
    Case("rom-ram-header-offset", 0x3FFDFFC, says="RAM header is at 0x3ffdffc"),
    Case("rom-num-pages", 0xFFFFFFFF, says="areas overlap"),
    Case("rom-num-pages", 7, says="7 pages for commands"),
    Case("rom-pages-offset", 0, says="areas overlap"),
    Case("rom-draw-area-offset", 4096, says="areas overlap"),
    Case("rom-surface0-area-size", 0, says="picture"),
    Case("rom-surface0-area-size", 0xFFFFFFFF, says="areas overlap"),
    Case("rom-slots-start", 200, says="slots 200 to 7"),
    Case("rom-slots-end", 0, says="slots 1 to 0"),
    Case("rom-slot-gen-bits", 255, says="255 of a generation"),
    Case("rom-slot-id-bits", 0, says="0 bits of an id"),
    Case("ram-magic", 0x58585858, says="magic of the RAM is 0x58585858"),
    Case("ram-command-items", 33, says="rings have 33, 32 and 8 items"),
    Case("ram-cursor-items", 0, says="rings have 32, 0 and 8 items"),
    Case("ram-release-items", 9, says="rings have 32, 32 and 9 items"),
)
# What it does not look at.
TRIFLES = (
    Case("rom-modes-offset", 0xFFFFFFFF),
    Case("rom-mm-clock", 0xFFFFFFFF),
    Case("rom-n-surfaces", 0),
)


def check_lines(case: Case, lines: list[str]) -> None:
    """One line, or none."""
    right = len(lines) == (case.says is not None) and all(re.search(case.says, line) for line in lines)
    expect(right, f"the driver logs {lines}, not {case.says!r}")


def unbind(guest: Guest) -> None:
    """The driver leaves the device."""
    guest.run(f"echo {PLACE} >{DRIVER}/unbind")


def bind(guest: Guest) -> None:
    """The driver takes the device, with its console."""
    guest.run(f"echo {PLACE} >{DRIVER}/bind; echo 0 >/sys/class/graphics/fbcon/cursor_blink")


def rebind(guest: Guest) -> None:
    """What was said before is forgotten, and how often the device was reset."""
    unbind(guest)
    bind(guest)
    guest.shows("bound again")
    lines = guest.said("caraway_qxl")
    expect(not lines, f"the driver logs {lines}")


def drive(guest: Guest, case: Case, resets: list[str]) -> None:
    """The guest draws meanwhile; when it is over all is shown, without another word."""
    if case.says:
        resets.append(case.name)
    if len(resets) > RESETS:
        rebind(guest)
        resets[:] = [case.name]
    guest.misbehave(DEVICE, case.fault, case.value, case.count)
    said = []

    def is_seen() -> bool:
        said.extend(guest.said("caraway_qxl", case.drive))
        return guest.acted(DEVICE) >= case.acts and (case.says is None or bool(said))

    try:
        guest.until(case.fault, is_seen)
        guest.behave(DEVICE)
        guest.shows("when it was over")
        check_lines(case, said + guest.said("caraway_qxl"))
    except Failed:
        # What comes next begins with a sound device.
        guest.behave(DEVICE)
        unbind(guest)
        bind(guest)
        guest.said("caraway_qxl")
        raise


def lie(guest: Guest, case: Case) -> None:
    """The driver is bound meanwhile: it leaves the device alone, and takes it afterwards."""
    unbind(guest)
    guest.misbehave(DEVICE, case.fault, case.value)
    left = guest.run(f"echo {PLACE} >{DRIVER}/bind 2>/dev/null; ls {DRIVER}; cat /proc/fb")
    guest.behave(DEVICE)
    bind(guest)
    taken = guest.run(f"ls {DRIVER}; cat /proc/fb")
    check_lines(case, guest.said("caraway_qxl"))
    expect(PLACE not in left and "caraway" not in left, f"the driver is bound: {left}")
    expect(PLACE in taken and "caraway" in taken, f"the driver is not bound when it is over: {taken}")


def trifle(guest: Guest, case: Case) -> None:
    """The driver is bound meanwhile and does not mind."""
    unbind(guest)
    guest.misbehave(DEVICE, case.fault, case.value)
    bind(guest)
    guest.shows("bound")
    guest.behave(DEVICE)
    check_lines(case, guest.said("caraway_qxl"))


def held(guest: Guest) -> None:
    """The line is up with nothing pending for as long as two commands take: a guest does nothing else meanwhile."""
    guest.misbehave(DEVICE, "level-held")
    expect(guest.behave(DEVICE), "the fault has not acted")
    guest.shows("when it was over")
    lines = guest.said("caraway_qxl")
    expect(not lines, f"the driver logs {lines}")


def given_up(guest: Guest) -> None:
    """The device goes on with it: after some resets it is given up, with another line, and can be bound again."""
    rebind(guest)
    guest.misbehave(DEVICE, "release-unknown", 257)
    said = []

    def is_given_up() -> bool:
        said.extend(guest.said("caraway_qxl", LETTER))
        return any("given up" in line for line in said)

    guest.until("given up", is_given_up)
    said += guest.said("caraway_qxl", LINES)
    guest.behave(DEVICE)
    expect(len(said) == RESETS + 2, f"the driver logs {said}")
    rebind(guest)


def checks(guest: Guest, is_short: bool) -> list:
    """The checks, each with its name."""
    lies, trifles = (LIES[::LIES_STEP], TRIFLES[:1]) if is_short else (LIES, TRIFLES)
    resets: list[str] = []
    return [
        ("qxl: sound", lambda: rebind(guest)),
        *((case.name, lambda case=case: drive(guest, case, resets)) for case in kinds(CASES, is_short)),
        ("qxl: level-held", lambda: held(guest)),
        ("qxl: given up", lambda: given_up(guest)),
        *((case.name, lambda case=case: lie(guest, case)) for case in lies),
        ("qxl: bound again", lambda: rebind(guest)),
        *((case.name, lambda case=case: trifle(guest, case)) for case in trifles),
        ("qxl: no harm", guest.finish),
    ]
