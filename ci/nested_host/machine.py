"""What the nested host consists of: kernel, initramfs, QEMU's command line, and the machine saved ready to run."""

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from debian import cache, kernel, recipe

from .process import HostFailed, Qemu

QEMU = "qemu-system-x86_64"
KERNEL_PACKAGE = "linux-image-amd64"
MODULES = [
    "virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay", "virtio_rng", "virtio_net", "tun", "tap",
    "vhost_net", "kvm", "kvm_amd", "bridge", "veth", "virtio_blk", "crc32c_generic", "ext4", "loop",
]  # fmt: skip
APPEND = (
    "console=ttyS0 panic=-1 quiet mitigations=off nokaslr no_timer_check tsc=reliable nowatchdog audit=0 apparmor=0 "
    "cryptomgr.notests random.trust_cpu=on rcupdate.rcu_expedited=1 net.ifnames=0 8250.nr_uarts=1"
)
# Slots for shared folders: the list of devices is part of a saved machine, so it is always the same.
SHARES = 4
COLD_START_LIMIT = 120.0
SAVE_LIMIT = 60.0
SAVED_MACHINES = 4


@dataclass(frozen=True)
class Size:
    """How big the nested host is."""

    cpus: int = 1
    memory_mib: int = 3072


@dataclass(frozen=True)
class Parts:
    """What the machine boots, built before the first start."""

    kernel: Path
    initramfs: Path
    qemu_version: str


def parts() -> Parts:
    """Finds or builds kernel and initramfs and asks QEMU for its version."""
    linux = kernel.load(KERNEL_PACKAGE)
    init = (Path(__file__).parent / "init.sh").read_text(encoding="utf-8")
    initramfs = recipe.initramfs_of(linux, init, MODULES)
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return Parts(linux.vmlinux, initramfs, version)


def major_version(qemu_version: str) -> int:
    """7 for `QEMU emulator version 7.2.22 (Debian ...)`."""
    found = re.search(r"version (\d+)\.", qemu_version)
    return int(found.group(1)) if found else 0


def hardware(size: Size) -> list[str]:
    """The part of QEMU's command line that a saved machine depends on."""
    arguments = ["-accel", "tcg,thread=multi,tb-size=512", "-M", "pc,hpet=off", "-cpu", "EPYC,+svm,+npt"]
    arguments += ["-m", str(size.memory_mib), "-smp", str(size.cpus), "-nodefaults", "-no-user-config"]
    arguments += ["-display", "none", "-no-reboot", "-append", APPEND]
    arguments += ["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng"]
    arguments += ["-device", "virtio-serial-pci,id=serial"]
    for name in ("control", "stdout", "stderr"):
        arguments += ["-device", f"virtserialport,bus=serial.0,chardev={name},name={name}"]
    arguments += ["-device", "virtio-net-pci,netdev=net,mac=52:54:00:00:00:15,romfile="]
    for tag in ("root", *share_tags()):
        arguments += ["-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    return arguments


def share_tags() -> list[str]:
    """Mount tags of the slots for shared folders."""
    return [f"share{number}" for number in range(SHARES)]


def backends(folder: Path, shares: list[str], forwards: list[tuple[int, int]]) -> list[str]:
    """The part of QEMU's command line that may differ from start to start: host folders and ports."""
    arguments = ["-serial", f"file:{_value(folder / 'console')}"]
    root = "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"
    arguments += ["-fsdev", root]
    for number, tag in enumerate(share_tags()):
        path = _value(shares[number] if number < len(shares) else folder)
        arguments += ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap"]
    forwarding = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for host, guest in forwards)
    arguments += ["-netdev", f"user,id=net{forwarding}"]
    return arguments


def _value(path: Path | str) -> str:
    # In QEMU's option lists a comma is written twice.
    return str(path).replace(",", ",,")


def command(built: Parts, size: Size, folder: Path, shares: list[str], forwards: list[tuple[int, int]]) -> list[str]:
    """QEMU's whole command line, but for the descriptors its character devices use."""
    boot = ["-kernel", str(built.kernel), "-initrd", str(built.initramfs)]
    return [QEMU, *hardware(size), *backends(folder, shares, forwards), *boot]


def saved_name(built: Parts, size: Size) -> str:
    """The name of the saved machine: a checksum of all it depends on."""
    # Both paths are named by their content.
    return cache.digest(built.qemu_version, built.kernel, built.initramfs, *hardware(size))


def saved(built: Parts, size: Size, log) -> Path:
    """The file with the machine saved ready to run; made when there is none yet, which takes some ten seconds."""

    def fill(folder: Path) -> None:
        log("starting the nested host from cold and saving it (once)")
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            monitor, theirs = socket.socketpair()
            stack.enter_context(monitor)
            monitor_arguments = ["-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"]
            qemu = Qemu(command(built, size, folder, [], []) + monitor_arguments, extra=[theirs])
            stack.callback(qemu.kill)
            theirs.close()
            qemu.expect("ready", COLD_START_LIMIT)
            _save(monitor, folder / "state")
        (folder / "console").unlink(missing_ok=True)
        log(f"saved after {time.monotonic() - began:.1f} s")

    path = cache.entry("nested", saved_name(built, size), fill)
    cache.keep_newest("nested", SAVED_MACHINES)
    return path / "state"


def forget_saved(built: Parts, size: Size) -> None:
    """Removes a saved machine that did not start, so that the next start makes a new one."""
    shutil.rmtree(cache.root() / "nested" / saved_name(built, size), ignore_errors=True)


def incoming(state: Path) -> list[str]:
    """Arguments that start the machine from the file `state`."""
    os.utime(state.parent)
    return ["-incoming", f"exec:cat {shlex.quote(str(state))}"]


def _save(monitor: socket.socket, state: Path) -> None:
    # No `stop` before this: a machine saved stopped would stay stopped when it is started again.
    monitor.settimeout(SAVE_LIMIT)
    stream = monitor.makefile("rw", encoding="utf-8")

    def call(name: str, **arguments):
        stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        stream.flush()
        for line in stream:
            answer = json.loads(line)
            if "error" in answer:
                raise HostFailed(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise HostFailed(f"QEMU went away at {name}")

    stream.readline()
    call("qmp_capabilities")
    call("migrate-set-parameters", **{"max-bandwidth": 100 << 30})
    call("migrate", uri=f"exec:cat > {shlex.quote(str(state))}")
    limit = time.monotonic() + SAVE_LIMIT
    while True:
        status = call("query-migrate").get("status")
        if status == "completed":
            return
        if status in ("failed", "cancelled") or time.monotonic() > limit:
            raise HostFailed(f"saving the machine: {status}")
        time.sleep(0.05)
