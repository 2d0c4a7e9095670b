"""Initramfs archives: busybox, an /init script and kernel modules, as an uncompressed cpio."""

import stat
from pathlib import Path

BUSYBOX = Path("/bin/busybox")


class Archive:
    """A cpio archive in the `newc` format the kernel unpacks; same content, same bytes."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._inode = 0

    def _add(self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
        self._data += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self._pad()
        self._data += content
        self._pad()

    def _pad(self) -> None:
        self._data += bytes(-len(self._data) % 4)

    def folder(self, name: str) -> None:
        self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, content: bytes, executable: bool = False) -> None:
        self._add(name, stat.S_IFREG | (0o755 if executable else 0o644), content)

    def link(self, name: str, target: str) -> None:
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name: str, major: int, minor: int) -> None:
        self._add(name, stat.S_IFCHR | 0o600, b"", (major, minor))

    def finish(self) -> bytes:
        self._add("TRAILER!!!", 0)
        self._data += bytes(-len(self._data) % 512)
        return bytes(self._data)


def assemble(
    init: bytes,
    modules: list[tuple[str, bytes]],
    others: list[tuple[str, bytes]],
    programs: list[tuple[str, bytes]],
    busybox: Path = BUSYBOX,
) -> bytes:
    """Busybox, `init` as /init, `modules` under /modules and their order in /modules/order, which leaves out `others`,
    `programs` under /programs."""
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "run", "tmp", "etc", "new", "modules", "programs"):
        archive.folder(name)
    archive.character_device("dev/console", 5, 1)
    archive.file("bin/busybox", busybox.read_bytes(), executable=True)
    archive.link("bin/sh", "busybox")
    archive.file("init", init, executable=True)
    for name, image in [*modules, *others]:
        archive.file(f"modules/{name}.ko", image)
    archive.file("modules/order", "".join(f"{name}\n" for name, _ in modules).encode())
    for name, image in programs:
        archive.file(f"programs/{name}", image, executable=True)
    return archive.finish()
