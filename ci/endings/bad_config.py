"""What a configuration can get wrong: FILE:LINE: message, exit code 2."""

import struct
from collections.abc import Callable
from pathlib import Path

from debian import kernel as debian
from harness import kernel, vm
from harness.vm import expect

from .start import Starts

# Root may read everything; without these it may not.
NO_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
MIB = 1 << 20


class BadConfig:
    def __init__(self, starts: Starts, demo: Path) -> None:
        self.starts = starts
        self.demo = demo
        starts.file("good.elf", kernel.elf(kernel.HALT_FOREVER))
        self.bzimage = debian.load().vmlinuz.read_bytes()

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("unknown keys name the nearest", self.unknown_keys),
            ("wrong types and syntax", self.wrong_types),
            ("impossible sizes", self.impossible_sizes),
            ("files that are missing or cannot be read", self.unreadable),
            ("no kernel, though a file", self.no_kernel),
            ("bzImages cut at many places", self.cut_bzimage),
            ("ELF kernels cut at many places", self.cut_elf),
            ("what does not fit into memory", self.too_big),
            ("command lines that are too long", self.command_lines),
            ("disks", self.disks),
            ("TLS", self.tls),
            ("overrides", self.overrides),
        ]

    def boot(self, text: str = "", **keys: str) -> str:
        """A configuration with a good kernel unless `keys` name another."""
        keys = {"kernel": "good.elf", **keys}
        return text + "[boot]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items())

    def unknown_keys(self) -> None:
        wrong = self.starts.misconfigured
        wrong(self.boot("cpu = 2\n"), "cpu", "unknown key `cpu`", "did you mean `cpus`?")
        wrong(self.boot(kernal="x"), "kernal", "unknown key `kernal`", "did you mean `kernel`?")
        wrong(self.boot("\n\n") + "[spice]\nlisten = '127.0.0.1:0'\ntickets = 1\n", "tickets", "did you mean `ticket`?")
        wrong(self.boot() + "[[disk]]\npath = 'good.elf'\nread_only = true\n", "read_only", "did you mean `readonly`?")
        wrong(self.boot() + "[networks]\n", "[networks]", "unknown key `networks` (known here: ")

    def wrong_types(self) -> None:
        wrong = self.starts.misconfigured
        wrong(self.boot("cpus = 'two'\n"), "cpus", "cpus: ", "integer")
        wrong(self.boot("memory = 512\n"), "memory", "memory: ", "string")
        wrong(self.boot("debug_exit = 1\n"), "debug_exit", "boolean")
        wrong(self.boot("on_reboot = 'halt'\n"), "on_reboot", '"halt"')
        wrong(self.boot("stop_timeout = '5 parsecs'\n"), "stop_timeout", "parsecs")
        wrong(self.boot("stop_timeout = '18446744073709551615 s'\n"), "stop_timeout", "more than a day")
        wrong("boot = 5\n", "boot", "boot: invalid type: integer `5`, expected a table\n")
        wrong("boot = 'vmlinuz'\n", "boot", "expected a table\n")
        wrong(self.boot() + "disk = 1\n", "disk", "unknown key `disk`")
        wrong(self.boot() + "[[disk]]\nreadonly = true\n", "[[disk]]", "missing key `path`")
        wrong("name = 'a'\n[boot]\ncmdline = 'x'\n", "[boot]", "kernel")
        wrong(self.boot("cpus = 99999999999999999999\n"), "cpus", "cpus: ", "integer")
        wrong(self.boot("name = 'a/b'\n"), "name", "cannot be a VM's name")
        wrong(self.boot("cpus = = 2\n"), "cpus")
        wrong(self.boot("name = 'unfinished\n"), "name")
        wrong(self.boot() + "[spice]\nlisten = 'nowhere'\n", "listen", "nowhere")
        wrong(self.boot() + "[spice]\nlisten = '0.0.0.0:0'\n", "listen", "insecure")

    def impossible_sizes(self) -> None:
        wrong = self.starts.misconfigured
        for size, word in [
            ("0 MiB", "0 B is not in 16 MiB to 31 GiB"),
            ("1 MiB", "1 MiB is not in"),
            ("1 TiB", "1024 GiB is not in"),
            ("16777217 TiB", "64 bits"),
            ("16385 KiB", "not a multiple of 1 MiB"),
            ("512", "no unit"),
            ("-1 MiB", "not a size"),
        ]:
            wrong(self.boot(f"memory = '{size}'\n"), "memory", "memory: ", word)
        for cpus in (0, 65, 1000, -1):
            wrong(self.boot(f"cpus = {cpus}\n"), "cpus", f"cpus: {cpus} is not in 1 to 64")
        wrong(self.boot() + "[display]\nmax_resolution = '9000x10'\n", "max_resolution", "9000x10")
        wrong(self.boot() + "[display.advanced]\nram = '1 GiB'\n", "ram", "512 MiB")

    def unreadable(self) -> None:
        wrong = self.starts.misconfigured
        for key in ("kernel", "initramfs"):
            named = f"boot.{key}: "
            wrong(self.boot(**{key: "absent"}), key, named, "No such file")
            wrong(self.boot(**{key: "good.elf/inside"}), key, named, "Not a directory")
            wrong(self.boot(**{key: "."}), key, named, "is a directory")
            self.starts.file("secret", b"secret").chmod(0)
            wrong(self.boot(**{key: "secret"}), key, named, "Permission denied", wrapper=NO_OVERRIDE)
            wrong(self.boot(**{key: "/dev/null"}), key, "is not a regular file")
        wrong(self.boot() + "[spice]\nticket = { file = 'absent' }\n", "ticket", "absent", "No such file")
        wrong(self.boot() + "[serial]\nlog = 'absent/log'\n", "log", "serial.log", check=False)
        ended = vm.run_to_end(self.starts.program, ["run", "absent.toml"])
        expect(
            (ended.code, ended.err.count("\n")) == (2, 1) and ended.err.startswith("absent.toml: "),
            f"a configuration that is not there: {ended}",
        )

    def no_kernel(self) -> None:
        files = {
            "empty": (b"", "is empty"),
            "text": (b"#!/bin/sh\necho I am no kernel\n", "text"),
            "zeros": (bytes(4096), "not a kernel"),
            "gzip": (b"\x1f\x8b\x08\0" + bytes(4096), "gzip"),
            "i386.elf": (_patched(kernel.elf(b""), 18, struct.pack("<H", 3)), "x86-64"),
            "noteless.elf": (_patched(kernel.elf(b""), kernel.FILE_OFFSET + 8, b"\x01"), "PVH"),
            "far.elf": (_patched(kernel.elf(b""), 64 + 24, struct.pack("<Q", 1 << 50)), "needs memory"),
        }
        for name, (content, word) in files.items():
            self.starts.file(name, content)
            self.starts.misconfigured(self.boot(kernel=name), "kernel", name, word)

    def cut_bzimage(self) -> str:
        image = self.bzimage
        sectors = image[debian.SETUP_SECTORS] or 4
        setup = (sectors + 1) * debian.SECTOR
        # What follows `syssize` is a signature, which a kernel can do without.
        (paragraphs,) = struct.unpack_from("<I", image, 0x1F4)
        end = setup + paragraphs * 16
        places = {0: "is empty", 1: "not a kernel", 0x1F1: "not a kernel", 0x205: "not a kernel"}
        header = [0x206, 0x230, 0x267]
        rest = [setup - 1, setup, setup + 0x200, end // 2, end - 1]
        places |= {place: "is truncated: the setup header" for place in header}
        places |= {place: "is truncated: the compressed kernel" for place in rest}
        for place, word in places.items():
            self.starts.file("cut", image[:place])
            self.starts.misconfigured(self.boot(kernel="cut"), "kernel", "boot.kernel: ", word)
        return f"{len(places)} places"

    def cut_elf(self) -> str:
        image = self.demo.read_bytes()
        (table,) = struct.unpack_from("<Q", image, 32)
        size, count = struct.unpack_from("<HH", image, 54)
        headers = [struct.unpack_from("<IIQQQQQQ", image, table + index * size) for index in range(count)]
        # Loaded segments and notes; behind them are sections that nobody reads.
        end = max(header[2] + header[5] for header in headers if header[0] in (1, 4))
        places = {3: "not a kernel"}
        places |= {place: "is truncated: the ELF header" for place in (4, 16, 63)}
        places |= {place: "is truncated: the program header table" for place in (64, table + size * count - 1)}
        places |= {place: "is truncated: a segment" for place in (end // 2, end - 1)}
        for place, word in places.items():
            self.starts.file("cut", image[:place])
            self.starts.misconfigured(self.boot(kernel="cut"), "kernel", "boot.kernel: ", word)
        return f"{len(places)} places"

    def too_big(self) -> None:
        wrong = self.starts.misconfigured
        with (self.starts.folder / "huge").open("wb") as file:
            file.truncate(600 * MIB)
        wrong(self.boot("memory = '64 MiB'\n", initramfs="huge"), "memory", "huge", "memory: ")
        # The default of 512 MiB has no line of its own.
        wrong(self.boot(initramfs="huge"), "initramfs", "huge")
        self.starts.file("vmlinuz", self.bzimage)
        wrong(self.boot("memory = '16 MiB'\n", kernel="vmlinuz"), "memory", "vmlinuz", "memory: ")

    def command_lines(self) -> None:
        wrong = self.starts.misconfigured
        wrong(self.boot(cmdline="x" * 2048), "cmdline", "boot.cmdline: ", "2048", "2047")
        self.starts.file("vmlinuz", self.bzimage)
        wrong(self.boot(kernel="vmlinuz", cmdline="x" * 100_000), "cmdline", "boot.cmdline: ", "100000")
        wrong(self.boot(cmdline="a\\u0000b"), "cmdline", "boot.cmdline: ")
        wrong(self.boot(cmdline="caf\u00e9"), "cmdline", "boot.cmdline: ")

    def tls(self) -> None:
        self.starts.file("bad.pem", b"no certificate")
        spice = self.boot() + "[spice]\nlisten = '127.0.0.1:0'\n"
        wrong = self.starts.misconfigured
        wrong(spice + "tls = { cert = 'bad.pem', key = 'bad.pem' }\n", "tls", "spice.tls.cert", "no certificate in PEM")
        wrong(spice + "tls = { cert = 'bad.pem', key = 'absent' }\n", "tls", "spice.tls.key", "absent")
        wrong(spice + "tls = { }\n", "tls", "`generate = true`")
        wrong(spice + "channels = { inputs = 'tls' }\n", "channels", "there is no `tls`")

    def disks(self) -> None:
        wrong = self.starts.misconfigured

        def disk(path: str) -> str:
            return self.boot("memory = '32 MiB'\n") + f"[spice]\nlisten = '127.0.0.1:0'\n[[disk]]\npath = '{path}'\n"

        wrong(disk("absent"), "path", "disk.path: ", "No such file")
        wrong(disk("."), "path", "disk.path: ", "directory")
        wrong(disk("/dev/null"), "path", "disk.path: ", "/dev/null")
        self.starts.file("odd.raw", bytes(1000))
        wrong(disk("odd.raw"), "path", "disk.path: ", "1000", "512")
        self.starts.file("empty.raw", b"")
        wrong(disk("empty.raw"), "path", "disk.path: ", "empty.raw")
        image = self.starts.file("disk.raw", bytes(MIB))
        owner = self.starts.write(disk("disk.raw"), "owner")
        with vm.Vm(self.starts.program, [str(owner)]) as machine:
            # Nothing is wrong with the configuration itself, so `check` has nothing to say.
            wrong(disk("disk.raw"), "path", "disk.path: ", str(image), "in use", check=False)
            wrong(disk("disk.raw") + "readonly = true\n", "path", "disk.path: ", "in use", check=False)
            machine.ctl("quit")
            expect(machine.wait() == 0, "the disk's owner did not end in order")

    def overrides(self) -> None:
        path = self.starts.write(self.boot("memory = '64 MiB'\n"))

        def refused(start: str, *arguments: str) -> None:
            ended = vm.run_to_end(self.starts.program, ["run", *arguments])
            expect(
                (ended.code, ended.err.count("\n"), ended.left) == (2, 1, []) and ended.err.startswith(start),
                f"{arguments}: wanted exit code 2 and {start!r}: {ended}",
            )

        refused("--set: unknown key `cpuz`: did you mean `cpus`?", str(path), "--set", "cpuz=1")
        refused("--set: ", str(path), "--set", "cpus")
        refused(f"{path}: cpus: 1000 is not in", str(path), "--set", "cpus=1000")
        refused(f"{path}: boot.kernel: ", str(path), "--set", "boot.kernel=/etc/passwd")
        refused("--set: the demo VM has no configuration", "--set", "cpus=2")
        path = self.starts.write(self.boot("cpus = 0\n"))
        refused(f"{path}:1: cpus: 0 is not in", str(path), "--set", "memory=32 MiB")


def _patched(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]
