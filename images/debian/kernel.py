"""Debian's kernel package: the bzImage, the ELF inside it, and the modules in the order they load."""

import lzma
import re
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from . import cache, modules, packages
from .lock import Package

# No module is replaced.
NOTHING: Mapping[str, tuple[str, bytes]] = MappingProxyType({})
# Offsets in the bzImage setup header (Documentation/arch/x86/boot.rst of the kernel).
SETUP_SECTORS = 0x1F1
PAYLOAD_OFFSET = 0x248
PAYLOAD_LENGTH = 0x24C
SECTOR = 512
# The build appends the unpacked size to the compressed payload.
PAYLOAD_TRAILER = 4


class KernelError(Exception):
    """A kernel image or module is not what its package promises."""


@dataclass(frozen=True)
class Kernel:
    """One unpacked kernel package."""

    name: str
    release: str
    vmlinuz: Path
    vmlinux: Path
    modules: Path
    # What modules are built with, when it is not in Debian's package of headers.
    headers: Path | None = None


def load(metapackage: str = "linux-image-amd64") -> Kernel:
    """The kernel behind a metapackage, fetched, unpacked and its image decompressed once."""
    name, version = packages.real_package(metapackage)

    def fetch(folder: Path) -> None:
        package = packages.download(name, version, folder)
        packages.unpack(package, folder)
        package.unlink()

    return _unpacked(name, version, fetch)


def of_package(package: Package, file: Path, headers: Sequence[Path] = ()) -> Kernel:
    """The kernel in the file of a package; with `headers`, the files of what modules are built with."""
    found = _unpacked(package.name, package.version, lambda folder: packages.unpack(file, folder), package.sha256[:16])
    if not headers:
        return found

    def build(folder: Path) -> None:
        for header in headers:
            packages.unpack(header, folder)
        modules.settle_headers(folder, found.release)

    name = cache.digest(package.sha256, *(header.name for header in headers))
    folder = cache.entry("headers", f"{found.release}_{name}", build)
    return replace(found, headers=modules.headers_folder(folder, found.release))


def _unpacked(name: str, version: str, fetch: Callable[[Path], None], mark: str = "") -> Kernel:
    release = name.removeprefix("linux-image-").removesuffix("-unsigned")

    def build(folder: Path) -> None:
        fetch(folder)
        image = (folder / "boot" / f"vmlinuz-{release}").read_bytes()
        (folder / "vmlinux").write_bytes(decompress(image))

    folder = cache.entry("kernels", f"{name}_{version.replace(':', '%3a')}{mark and '_' + mark}", build)
    tree = folder / "lib" / "modules" / release
    if not tree.is_dir():
        tree = folder / "usr" / "lib" / "modules" / release
    return Kernel(f"{name}_{version}", release, folder / "boot" / f"vmlinuz-{release}", folder / "vmlinux", tree)


def decompress(image: bytes) -> bytes:
    """The ELF kernel inside a bzImage; QEMU and our VMM enter it by its PVH note, without the slow stub."""
    if image[0x202:0x206] != b"HdrS" or len(image) < PAYLOAD_LENGTH + 4:
        raise KernelError("not a bzImage")
    sectors = image[SETUP_SECTORS] or 4
    offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    start = (sectors + 1) * SECTOR + offset
    payload = image[start : start + length]
    if payload[:2] == b"\xfd7":
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        packed = payload[:-PAYLOAD_TRAILER]
        return subprocess.run(["zstd", "-dcq"], input=packed, stdout=subprocess.PIPE, check=True).stdout
    raise KernelError(f"unknown compression of the kernel payload: {payload[:4].hex()}")


def module_name(path: Path) -> str:
    """`virtio-rng.ko.xz` -> `virtio_rng`: the kernel takes both spellings for one module."""
    return path.name.split(".ko")[0].replace("-", "_")


def module_image(path: Path) -> bytes:
    """The ELF of a module file, decompressed when it is stored compressed."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def load_order(
    kernel: Kernel, wanted: list[str], instead: Mapping[str, tuple[str, bytes]] = NOTHING
) -> list[tuple[str, bytes]]:
    """Names and images of the `wanted` modules and all they depend on, in an order `insmod` accepts.

    `instead` of a module by its name another one is taken, by its name and image.
    """
    files = {module_name(path): path for path in kernel.modules.rglob("*.ko*")}
    builtin = {module_name(Path(line)) for line in (kernel.modules / "modules.builtin").read_text().split()}
    order: dict[str, bytes] = {}

    def visit(name: str, needed_by: str) -> None:
        name = name.replace("-", "_")
        name, image = instead.get(name, (name, b""))
        if name in order or name in builtin:
            return
        if not image:
            if name not in files:
                raise KernelError(f"{kernel.name} has no module {name} (needed by {needed_by})")
            image = module_image(files[name])
        depends = re.search(rb"\0depends=([^\0]*)\0", image)
        for other in depends.group(1).decode().split(",") if depends else []:
            if other:
                visit(other, name)
        order[name] = image

    for name in wanted:
        visit(name, "the recipe")
    return list(order.items())
