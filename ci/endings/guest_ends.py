"""How a guest ends its machine, and how signals do."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

from harness import kernel, vm
from harness.kernel import DEBUG_EXIT, KEYBOARD_COMMAND, RESET_CONTROL, out8, out16, out32, say
from harness.vm import expect

from .start import Starts

# A guest that is lost would print this and end in a way no test expects.
LOST = say("lost") + out8(DEBUG_EXIT, 61)
POWER_OFF = out16(kernel.PM1_CONTROL, kernel.POWER_OFF)
PCI_ADDRESS = 0xCF8
PCI_DATA = 0xCFC
PANIC_DEVICE = 1 << 31 | 0x1E << 11
# What a host that runs kernel code itself wants before SSE: cr4.OSFXSAVE on, cr0.EM off.
ENABLE_SSE = b"\x0f\x20\xe0\x80\xcc\x02\x0f\x22\xe0\x0f\x20\xc0\x24\xfb\x0f\x22\xc0"
MOVD_XMM0_EAX = b"\x66\x0f\x6e\xc0"
RESETS_WAITED_FOR = 6


class GuestEnds:
    def __init__(self, starts: Starts, _demo: Path) -> None:
        self.starts = starts

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("power-off is 0, the debug-exit port 64 + n", self.own_codes),
            ("triple faults restart the guest, the fourth in a row is a crash", self.triple_faults),
            ("resets by 0xcf9 and the keyboard controller", self.resets),
            ("a panic the guest reports", self.panic),
            ("an instruction KVM cannot emulate", self.internal_error),
            ("signals press the demo's power button", self.signals),
            ("a guest that ignores the button", self.ignored_button),
            ("a second signal ends at once", self.second_signal),
        ]

    def config(self, code: bytes, text: str = "") -> Path:
        self.starts.file("guest.elf", kernel.elf(code))
        log = self.log()
        log.unlink(missing_ok=True)
        return self.starts.write(
            f"name = 'guest'\nmemory = '16 MiB'\ndebug_exit = true\n{text}\n[boot]\nkernel = 'guest.elf'\n"
            f"[spice]\nlisten = '127.0.0.1:0'\n[serial]\nlog = '{log}'\n"
        )

    def log(self) -> Path:
        return self.starts.folder / "serial.log"

    def ends(self, code: bytes, wanted: int, text: str = "", printed: str = "", said: str = "") -> str:
        """Runs a guest to its end; what is on standard error."""
        ended = vm.run_to_end(self.starts.program, ["run", str(self.config(code, text))])
        expect(ended.code == wanted, f"exit code {ended.code}, wanted {wanted}: {ended.err}")
        expect(ended.out.startswith("VM guest (pid "), f"announced: {ended.out!r}")
        expect(ended.left == [], f"left in the run directory: {ended.left}")
        expect(said in ended.err if said else ended.err == "", f"{said!r} wanted on standard error: {ended.err!r}")
        seen = self.log().read_text(encoding="utf-8")
        expect(seen == printed, f"the guest printed {seen!r}, wanted {printed!r}")
        return ended.err

    def own_codes(self) -> None:
        self.ends(say("bye\n") + POWER_OFF + LOST, 0, printed="bye\n")
        for number, code in [(0, 64), (1, 65), (37, 101), (62, 126), (63, 126), (255, 126)]:
            self.ends(out8(DEBUG_EXIT, number) + LOST, code)
        # The port is there only when the configuration asks for it.
        path = self.config(out8(DEBUG_EXIT, 1) + POWER_OFF)
        ended = vm.run_to_end(self.starts.program, ["run", str(path), "--set", "debug_exit=false"])
        expect(ended.code == 0, f"a debug-exit port nobody asked for: {ended}")

    def triple_faults(self) -> None:
        fault = say("x") + kernel.TRIPLE_FAULT + LOST
        self.ends(fault, 3, printed="xxxx", said="caraway: the guest triple-faulted 4 times within 10 s\n")
        self.ends(fault, 0, text="on_reboot = 'exit'", printed="x")

    def resets(self) -> None:
        ways = {
            "cf9": out8(RESET_CONTROL, 0x02) + out8(RESET_CONTROL, 0x06),
            "FE": out8(KEYBOARD_COMMAND, 0xFE),
        }
        for way, code in ways.items():
            self.ends(say("x") + code + LOST, 0, text="on_reboot = 'exit'", printed="x")
            # However often, a reset is no crash.
            with vm.Vm(self.starts.program, [str(self.config(say("x") + code + LOST))]) as machine:
                machine.serial().wait("x" * RESETS_WAITED_FOR)
                machine.ctl("quit")
                expect(machine.wait() == 0, f"{way}: exit code {machine.wait()}")
                expect("lost" not in self.log().read_text(), f"{way}: the guest ran on after the reset")

    def panic(self) -> None:
        code = (
            out32(PCI_ADDRESS, PANIC_DEVICE | 4) + out16(PCI_DATA, 2)  # memory decoding on
            + out32(PCI_ADDRESS, PANIC_DEVICE | 0x10) + kernel.in32(PCI_DATA)
            + b"\x24\xf0\xc6\x00\x01"  # and al, 0xf0; mov byte [eax], 1
            + kernel.HALT_FOREVER
        )  # fmt: skip
        self.ends(code, 3, said="caraway: the guest reported a panic\n")

    def internal_error(self) -> str:
        code = ENABLE_SSE + b"\xb8\x78\x56\x34\x12" + MOVD_XMM0_EAX + out8(DEBUG_EXIT, 5)
        doctor = json.loads(vm.output([str(self.starts.program), "doctor", "--json"]))
        if doctor["loops_per_second"]["ring0_native"]:
            self.ends(code, 64 + 5)
            return "this host runs kernel code itself: nothing to emulate"
        said = self.ends(code, 3, said="caraway: vCPU 0 cannot go on: ")
        for part in [
            "vCPU 0 cannot go on: KVM internal error 1, it could not emulate an instruction",
            f"rip {kernel.BASE + kernel.CODE_OFFSET + len(ENABLE_SSE) + 5:#x}, ring 0, 32-bit",
            "instruction: movd xmm0,eax  (66 0f 6e c0)",
            "rax 0000000012345678",
            "cr0 ", "cr4 ", "rflags ", "gdt ", "idt ",
            "This host's KVM interprets guest kernel mode",
            "caraway doctor",
        ]:  # fmt: skip
            expect(part in said, f"{part!r} is missing in:\n{said}")
        return f"{len(said.splitlines())} lines of report"

    def signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with vm.Vm(self.starts.program, []) as machine:
                serial = machine.serial()
                serial.wait(r"^demo: ready")
                machine.send_signal(number)
                serial.wait(r"^demo: power button")
                code = machine.wait()
                expect((code, machine.errors()) == (0, ""), f"{number.name}: exit code {code}: {machine.errors()}")

    def ignored_button(self) -> None:
        path = self.config(say("up") + kernel.HALT_FOREVER, "stop_timeout = '700 ms'")
        with vm.Vm(self.starts.program, [str(path)]) as machine:
            machine.serial().wait("up")
            began = time.monotonic()
            machine.send_signal(signal.SIGTERM)
            code = machine.wait()
            seconds = time.monotonic() - began
            said = machine.errors()
        expect(code == 4, f"exit code {code} after the time limit: {said}")
        expect(seconds >= 0.7, f"ended after {seconds:.2f} s")
        expect(said == "caraway: the guest did not power off in time\n", f"said {said!r}")

    def second_signal(self) -> None:
        path = self.config(say("up") + kernel.SPIN_FOREVER, "stop_timeout = '1 min'")
        with vm.Vm(self.starts.program, [str(path)]) as machine:
            machine.serial().wait("up")
            machine.send_signal(signal.SIGTERM)
            # What arrives twice at once, as from `timeout` of coreutils, was meant once.
            machine.send_signal(signal.SIGTERM)
            machine.ctl("status")
            time.sleep(0.2)
            machine.ctl("status")
            machine.send_signal(signal.SIGINT)
            code = machine.wait(20)
            expect(code == 4, f"exit code {code} after a second signal: {machine.errors()}")
