"""A Linux guest on QEMU in the nested host: our guest drivers have to work there as well."""

from pathlib import Path

from .nested import CONTROL, SERIAL, SPICE, NestedVm

# Runs in the nested host: QEMU and the way to its sockets. It says that it runs as caraway does.
SCRIPT = f"""
mkdir -p /tmp/qemu
"$1" {CONTROL}=/tmp/qemu/qmp {SERIAL}=/tmp/qemu/serial &
shift
"$@" & pid=$!
until [ -S /tmp/qemu/qmp ] || ! kill -0 $pid 2>/dev/null; do sleep 0.2; done
echo "VM linux"
wait $pid
"""


class QemuVm(NestedVm):
    """QEMU with its QXL device, libspice and one of our images. To be used with `with`.

    `spice` is added to the options of its server. Unless it is told how many outputs there may be, libspice tells clients of one alone.
    """

    def __init__(self, image: dict[str, str], disks: list[str], spice: str = "") -> None:
        # Nothing of ours runs there: the program that is copied is the relay.
        super().__init__(Path(__file__).parent / "relay.py", {})
        self._qemu = [
            "qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "1024", "-nodefaults", "-no-user-config",
            "-name", "linux,debug-threads=on", "-display", "none", "-vga", "none", "-device", "qxl-vga,max_outputs=4",
            "-spice", f"port={SPICE},addr=0.0.0.0,disable-ticketing=on{spice}",
            "-chardev", f"socket,id=serial,path=/tmp/qemu/serial,server=on,wait=off,logfile={self._log}",
            "-device", "virtio-serial-pci", "-chardev", "spicevmc,id=agent,name=vdagent",
            "-device", "virtserialport,chardev=agent,name=com.redhat.spice.0",
            "-serial", "chardev:serial", "-qmp", "unix:/tmp/qemu/qmp,server=on,wait=off",
            "-kernel", image["vmlinuz"], "-initrd", image["initramfs"], "-append", image["cmdline"],
        ]  # fmt: skip
        for number, disk in enumerate(disks):
            self._qemu += [
                "-drive", f"file={disk},format=raw,readonly=on,if=none,id=disk{number}",
                "-device", f"virtio-blk-pci,drive=disk{number}",
            ]  # fmt: skip

    def _start(self) -> None:
        self._log.touch()
        forwards = [(self.port, SPICE), (self._control_port, CONTROL), (self._serial_port, SERIAL)]
        self._run(forwards, SCRIPT, str(self._program), *self._qemu)
