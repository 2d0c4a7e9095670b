"""What in a kernel's log tells of a fault."""

import re

# The names with which kernels begin what must not be, and what comes with it.
FAULT = re.compile(
    r"\b(?:WARNING|BUG|KASAN|UBSAN|INFO|Oops|ODEBUG|kernel BUG at)\b"
    r"|possible (?:circular|recursive|irq lock|deadlock)|inconsistent lock state|lock held when|Call Trace:"
    r"|\d+ new suspected memory leaks|detected stalls|self-detected stall|general protection fault|refcount_t:"
    r"|list_(?:add|del) corruption|nobody cared|page allocation failure|blocked for more than|unable to handle"
)
# Raw lines: the level, and when it was said.
LINE = re.compile(r"^<(\d+)>\[ *\d+\.\d+\](?:\[[^\]]*\])? (.*)$")
# Levels up to this one say that something is not as it should be.
WARNING = 4
# The lowest bits; what is above says who speaks.
LEVELS = 7
# Said once, of the first module that is not of the kernel's own tree.
BEGINS = ": loading out-of-tree module taints kernel."
# Also expected: what a clock says when everything stood still for a while, which a nested machine does.
EXPECTED = re.compile(
    r": loading out-of-tree module taints kernel\.$"
    r"|: module verification failed: signature and/or required key missing - tainting kernel$"
    r"|^clocksource: Long readout interval|^hrtimer: interrupt took|^sched: RT throttling activated"
)
# What a log may have, and what it may not.
GOOD = """\
<4>[    0.000001] Speculative Return Stack Overflow: WARNING: there is a document
<4>[    0.000002] WARNING: CPU: 0 PID: 0 at arch/x86/kernel/fpu/xstate.c:606 f+0x85a/0xb19
<6>[    0.000000] kasan: KernelAddressSanitizer initialized
<6>[    0.125001] kmemleak: Kernel memory leak detector initialized (mem pool available: 38913)
<4>[    9.125001] vdiport: loading out-of-tree module taints kernel.
<6>[   12.500000] [drm] Initialized caraway_qxl 1.0.0 20260101 for 0000:00:01.0 on minor 0
<14>[   13.000000] init: ready
"""
BAD = [
    "<3>[   10.000000] BUG: KASAN: slab-use-after-free in f+0x1/0x2 [planted]",
    "<4>[   10.000000] WARNING: CPU: 0 PID: 100 at lib/x.c:1 f+0x1/0x2",
    "<4>[   10.000000] WARNING: possible circular locking dependency detected",
    "<3>[   10.000000] BUG: sleeping function called from invalid context at f.c:1",
    "<6>[   10.000000] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "<3>[   10.000000] UBSAN: shift-out-of-bounds in f.c:1:2",
    "<3>[   10.000000] rcu: INFO: rcu_preempt self-detected stall on CPU",
    "<3>[   10.000000] INFO: task insmod:1 blocked for more than 300 seconds.",
    "<3>[   10.000000] irq 20: nobody cared (try booting with the \"irqpoll\" option)",
    "<6>[   10.000000][  T10] Call Trace:",
    "<4>[   10.000000] caraway_qxl 0000:00:01.0: something is not as it should be",
]


def faults(log: str) -> list[str]:
    """The lines of a raw log that warn or tell of a fault, from the loading of our first module on.

    Before that a kernel finds fault with the processor it is on, and with its firmware.
    """
    lines = log.splitlines()
    starts = [number for number, line in enumerate(lines) if BEGINS in line]
    found = []
    for line in lines[starts[0] if starts else 0 :]:
        raw = LINE.match(line)
        level, text = (int(raw[1]) & LEVELS, raw[2]) if raw else (0, line)
        if (level <= WARNING or FAULT.search(text)) and not EXPECTED.search(text):
            found.append(text)
    return found


def notices() -> str:
    """Whether what is wrong is found, and nothing else."""
    if found := faults(GOOD):
        raise AssertionError(f"finds a fault where none is: {found}")
    for line in BAD:
        if not faults(GOOD + line) or not faults(line):
            raise AssertionError(f"not noticed: {line}")
    return f"{len(BAD)} violations"
