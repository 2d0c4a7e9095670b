"""VDIPort's driver on a device that misbehaves: the file it gives programs ends, waits or fails, and is sound when opened again."""

import re
from dataclasses import dataclass

from harness.vm import Failed, expect

from .guest import LIES_STEP, Guest, kinds

DEVICE = "vdiport"
PLACE = "0000:00:03.0"
DRIVER = "/sys/bus/pci/drivers/vdiport"
# A message of the agent that tells what it can do and asks the client the same: a chunk for the client of 28 bytes,
# protocol 1, VD_AGENT_ANNOUNCE_CAPABILITIES, 8 bytes, of which the first four ask.
ASK = r'printf "\001\0\0\0\034\0\0\0\001\0\0\0\006\0\0\0\0\0\0\0\0\0\0\0\010\0\0\0\001\0\0\0\0\0\0\0" >&3 || echo unwritten'
READ = "dd bs=4096 count=1 <&3 >/tmp/got 2>/dev/null"
# Programs that open the port and ask; the answer, nothing when the connection has ended, is in a file. The second one asks
# again when the first answer has come. The third one asks without end while somebody waits for all that comes, since nobody
# is interrupted for what nobody waits for. The last one writes more than the ring has room for.
TALK = f"exec 3<>/dev/vdiport0 && {{ {ASK}; exec {READ}; }}"
TALK_TWICE = f"exec 3<>/dev/vdiport0 && {{ {ASK}; {READ}; {ASK}; }}"
READ_ALL = "dd bs=4096 <&3 >/tmp/got 2>/dev/null"
TALK_ALWAYS = f"exec 3<>/dev/vdiport0 && {{ {READ_ALL} & while true; do {ASK}; sleep 1 3>&-; done; }}"
# Ends a program that does not by itself.
STOP = "kill $talk; killall dd 2>/dev/null"
FILL = "exec 3<>/dev/vdiport0 && exec dd if=/dev/zero bs=504 count=40 >&3"


@dataclass(frozen=True)
class Case:
    """A fault, what the driver logs, and how the program fares: what it says, and how many bytes have come."""

    fault: str
    value: int = 0
    count: int | None = None
    says: str | None = None
    program: str = TALK
    # The program is there as long as the fault is.
    waits: bool = False
    # It does not end by itself.
    stays: bool = False
    talk: str = r"[1-9]\d*"

    @property
    def name(self) -> str:
        """What the check is called."""
        return f"vdiport: {self.fault}" + (f" {self.value}" if self.value else "")


ENDS = "the connection is given up"
NOTHING = "0"
CASES = (
    Case("output-producer", 33, says=f"output ring has more packets.*{ENDS}", talk=NOTHING),
    Case("output-producer", -1000, says=f"output ring has more packets.*{ENDS}", talk=NOTHING),
    Case("input-consumer", 1, says=f"input ring has more packets.*{ENDS}", program=TALK_TWICE, talk=r"(?s).*unwritten.*"),
    Case("input-consumer", -40, says=f"input ring has more packets.*{ENDS}", program=TALK_TWICE, talk=r"(?s).*unwritten.*"),
    Case("packet-size", 505, says=f"packet is larger.*{ENDS}", talk=NOTHING),
    Case("packet-size", -1, says=f"packet is larger.*{ENDS}", talk=NOTHING),
    Case("packet-size", 0, waits=True, stays=True, talk=NOTHING),
    Case("packet-generation", 1, says=f"connection to come.*{ENDS}", talk=NOTHING),
    Case("packet-generation", -1, waits=True, stays=True, talk=NOTHING),
    Case("input-deaf", program=FILL, waits=True, talk=r"(?s)(.*\n)?0"),
    Case("interrupts-lost", program=TALK_ALWAYS, waits=True, stays=True, talk=r"\d+"),
    Case("interrupts-storm", 1, 1000),
    Case("pending-unknown", -2, program=TALK_ALWAYS, waits=True, stays=True, talk=r"\d+"),
    Case("generation-flaps", talk=r"(?s)(.*\n)?\d+"),
    Case("connection-value", 0, talk=r"(?s).*busy\n0"),
    Case("connection-value", -1, talk=r"(?s)(.*\n)?0"),
)
# What the driver looks at when it is bound.
LIES = (
    Case("ram-magic", 0x58585858, says="magic is 0x58585858"),
    Case("ram-input-items", 64, says="rings have 64 and 32 items"),
    Case("ram-output-items", 0, says="rings have 32 and 0 items"),
)


def start(guest: Guest, program: str) -> None:
    """Starts a program."""
    guest.run(f"rm -f /tmp/got; sh -c '{program}' >/tmp/said 2>&1 & talk=$!")


def is_running(guest: Guest) -> bool:
    """Whether the program is there."""
    return guest.run("kill -0 $talk 2>/dev/null && echo running") == "running"


def ended(guest: Guest) -> str:
    """Waits for the end of the program: what it has said, and how many bytes have come."""
    return guest.run("wait $talk 2>/dev/null; cat /tmp/said; touch /tmp/got; wc -c </tmp/got")


def load(guest: Guest) -> None:
    """Loads the driver."""
    guest.run("insmod /modules/vdiport.ko")
    sound(guest, "loaded")


def sound(guest: Guest, what: str) -> None:
    """The port is opened and answers, and the driver has nothing to say."""
    start(guest, TALK)
    said = ended(guest)
    expect(re.fullmatch(r"[1-9]\d*", said) is not None, f"{what}: the port is not sound: {said!r}")
    lines = guest.said("vdiport")
    expect(not lines, f"{what}: the driver says {lines}")


def talk(guest: Guest, case: Case) -> None:
    """A program uses the port meanwhile."""
    guest.misbehave(DEVICE, case.fault, case.value, case.count)
    start(guest, case.program)
    try:
        guest.until(case.fault, lambda: bool(guest.run("echo alive") and guest.acted(DEVICE)))
    except Failed:
        # What comes next begins with a port that nobody has open.
        guest.behave(DEVICE)
        guest.run(STOP)
        raise
    said = None if case.waits else ended(guest)
    is_there = is_running(guest)
    guest.behave(DEVICE)
    if case.stays:
        guest.run(STOP)
    said = said or ended(guest)
    lines = guest.said("vdiport")
    expect(is_there == case.waits, f"the program {'is there' if is_there else 'has ended'}: {said!r}")
    expect(re.fullmatch(case.talk, said) is not None, f"the guest says {said!r}, not {case.talk!r}; the driver {lines}")
    check_lines(case, lines)
    sound(guest, "when it was over")


def check_lines(case: Case, lines: list[str]) -> None:
    """One line, or none."""
    expect(len(lines) == (case.says is not None), f"the driver logs {lines}, not {case.says!r}")
    expect(not lines or re.search(case.says, lines[0]) is not None, f"the driver logs {lines}, not {case.says!r}")


def bind(guest: Guest, case: Case) -> None:
    """The driver is bound meanwhile: it leaves the device alone."""
    guest.run(f"echo {PLACE} >{DRIVER}/unbind")
    guest.misbehave(DEVICE, case.fault, case.value)
    guest.run(f"echo {PLACE} >{DRIVER}/bind 2>/dev/null")
    check_lines(case, guest.said("vdiport"))
    left = guest.run(f"ls {DRIVER} /dev")
    expect(PLACE not in left and "vdiport0" not in left, f"the driver is bound: {left}")
    guest.behave(DEVICE)
    guest.run(f"echo {PLACE} >{DRIVER}/bind")
    sound(guest, "bound again")


def held(guest: Guest) -> None:
    """The line is up with nothing pending for as long as two commands take: a guest does nothing else meanwhile."""
    guest.misbehave(DEVICE, "level-held")
    expect(guest.behave(DEVICE), "the fault has not acted")
    sound(guest, "when it was over")


def checks(guest: Guest, is_short: bool) -> list:
    """The checks, each with its name."""
    lies = LIES[::LIES_STEP] if is_short else LIES
    return [
        ("vdiport: sound", lambda: load(guest)),
        *((case.name, lambda case=case: talk(guest, case)) for case in kinds(CASES, is_short)),
        ("vdiport: level-held", lambda: held(guest)),
        *((case.name, lambda case=case: bind(guest, case)) for case in lies),
    ]
