"""The builder without a guest: locks and recipes that lie, file systems, and files that are there as a whole."""

import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from debian import cache, ext4, lock, machine, mirror, packages, recipe
from harness.vm import expect

SUM = "0123456789abcdef" * 4
LOCK = f"# a remark\nasked 0123456789abcdef\ntime 1700000000\nadduser 3.134 all {SUM}\nlibc6 2:2.36-9+deb12u1~x amd64 {SUM}\n"
# What locks may say that they must not, each with what is answered.
LIES = {
    "a name with a slash": ("adduser", "../adduser", "'../adduser' is no name"),
    "a name that is an option": ("adduser", "-oDebug=1", "is no name"),
    "a long name": ("adduser", "a" * 200, "is no name"),
    "a version with a space": ("3.134", "3 134", "not NAME VERSION"),
    "a version that is a path": ("3.134", "3/../../x", "is no version"),
    "an architecture": (" all ", " s390x ", "architecture 's390x'"),
    "a short sum": (SUM + "\nlibc6", "0123\nlibc6", "is no SHA-256"),
    "a sum in capitals": (SUM + "\nlibc6", SUM.upper() + "\nlibc6", "is no SHA-256"),
    "a package twice": ("libc6", "adduser", "adduser is there twice"),
    "no packages": (LOCK[LOCK.index("adduser") :], "", "no package is in it"),
    "no time": ("time 1700000000\n", "", "`time` is missing"),
    "two times": ("time 1700000000\n", "time 1700000000\ntime 1700000000\n", "once"),
    "a time before all packages": ("time 1700000000", "time -1", "once"),
    "half a line": (f" all {SUM}", "", "not NAME VERSION"),
    "a line end of another system": ("all " + SUM + "\n", "all " + SUM + "\r\n", "is no SHA-256"),
}
RECIPE = """
description = "a test"
kernel = "linux-image-amd64"
init = "disk.init"
cmdline = "quiet"
modules = ["ext4"]
[root]
suite = "bookworm"
packages = ["udev"]
spare_mib = 16
"""
BAD_RECIPES = {
    "no TOML": ("[root]", "[root", "test.toml: "),
    "an unknown key": ("cmdline", "comandline", "unknown key 'comandline'"),
    "a key of another type": ('"quiet"', "7", "cmdline is not of its type"),
    "true for a number": ("= 16", "= true", "spare_mib is not of its type"),
    "a missing key": ('kernel = "linux-image-amd64"\n', "", "kernel is missing"),
    "a script elsewhere": ("disk.init", "../build", "no script '../build' beside it"),
    "a package that is an option": ('"udev"', '"-oDPkg::Pre-Invoke::=sh"', "cannot be in packages"),
    "two packages in one": ('"udev"', '"udev,sudo"', "cannot be in packages"),
    "a disk without a size": ("spare_mib = 16", "", "one of spare_mib and size_mib"),
    "a disk of two sizes": ("spare_mib = 16", "spare_mib = 16\nsize_mib = 16", "one of spare_mib and size_mib"),
    "a disk larger than all": ("spare_mib = 16", "size_mib = 99999999", "a disk has up to"),
    "a module elsewhere": ("[root]", 'instead = { ext4 = "../../etc" }\n[root]', "is no folder of this checkout"),
}


def refused(kind: type[Exception], attempt: Callable[[], object], wanted: str, what: str) -> None:
    try:
        attempt()
    except kind as error:
        expect(wanted in str(error), f"{what}: it said {error}, not {wanted!r}")
        return
    expect(False, f"{what}: nothing was said")


def locks() -> str:
    known = lock.parse(LOCK, "test.lock")
    again = lock.parse(known.text("test"), "test.lock")
    expect(sorted(again.packages) == sorted(known.packages), "a lock that is written is read as another one")
    for what, (old, new, wanted) in LIES.items():
        expect(old in LOCK, f"{what}: there is nothing to change")
        refused(lock.LockError, lambda old=old, new=new: lock.parse(LOCK.replace(old, new, 1), "test.lock"), wanted, what)
    refused(lock.LockError, lambda: known.find("linux-image-.*"), "0 of the packages", "a lock without a kernel")
    many = "".join(f"p{number} 1 all {SUM}\n" for number in range(lock.MOST_PACKAGES + 1))
    refused(lock.LockError, lambda: lock.parse(LOCK + many, "test.lock"), "more than", "a lock of a whole mirror")
    return f"{len(LIES) + 2} lies named"


def recipes() -> str:
    recipe.parse("test", RECIPE)
    for what, (old, new, wanted) in BAD_RECIPES.items():
        expect(old in RECIPE, f"{what}: there is nothing to change")
        refused(recipe.RecipeError, lambda old=old, new=new: recipe.parse("test", RECIPE.replace(old, new, 1)), wanted, what)
    for name in ("../recipes/console", "nothing"):
        refused(recipe.RecipeError, lambda name=name: recipe.read(name), f"no recipe {name!r}", name)
    for name in recipe.names():
        recipe.read(name)
    for line in ("gopher://example.org bookworm main", "http://example.org", "http://example.org a\ndeb b"):
        refused(packages.PackageError, lambda line=line: mirror.Mirror("bookworm", [line]), "is no mirror", line)
    return f"{len(BAD_RECIPES) + 5} faults named, {len(recipe.names())} recipes read"


def _member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, **fields) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, mode, 1_600_000_000
    for key, value in fields.items():
        setattr(member, key, value)
    return member


def _archive(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
    return path


def _tree() -> list[tuple[tarfile.TarInfo, bytes]]:
    """Everything that a root file system may hold."""
    long = "l" * 255
    xattr = {"SCHILY.xattr.security.capability": "\1\0\0\2\0 " + "\0" * 14}
    found = [
        (_member("./", tarfile.DIRTYPE, 0o755), b""),
        (_member("./a", tarfile.DIRTYPE, 0o2775, uid=70000, gid=7), b""),
        (_member("./a/empty"), b""),
        (_member("./a/young", mtime=4_000_000_000), b"x"),
        (_member("./a/ping", mode=0o4755, pax_headers=xattr), b"ping"),
        (_member(f"./a/{long}"), b"long"),
        (_member("./a/list", pax_headers={"SCHILY.xattr.system.posix_acl_access": "x" * 44}), b"list"),
        (_member("./a/b", tarfile.SYMTYPE, 0o777, linkname="empty"), b""),
        (_member("./a/c", tarfile.SYMTYPE, 0o777, linkname="x" * 200), b""),
        (_member("./a/null", tarfile.CHRTYPE, 0o666, devmajor=1, devminor=3), b""),
        (_member("./a/disk", tarfile.BLKTYPE, 0o660, devmajor=259, devminor=300), b""),
        (_member("./a/pipe", tarfile.FIFOTYPE, 0o600), b""),
        (_member("./a/\udcff\udcfe"), b"not UTF-8"),
        (_member("./big"), bytes(range(256)) * 4096 * 150),
        (_member("./hard", tarfile.LNKTYPE, linkname="./a/ping"), b""),
        (_member("./many", tarfile.DIRTYPE, 0o755), b""),
    ]
    return found + [(_member(f"./many/a name of some length, {number}"), b"%d" % number) for number in range(2000)]


def file_system(folder: Path) -> str:
    """What e2fsck and debugfs say of images, and what does not go into one."""
    archive = _archive(folder / "tree.tar", _tree())
    (folder / "turned").mkdir()
    turned = _archive(folder / "turned" / "tree.tar", sorted(_tree(), key=lambda one: (one[0].name.count("/"), one[0].islnk())))
    for size in (None, 200, 1024):
        image, other = folder / "disk", folder / "turned" / "disk"
        for path, where in ((archive, image), (turned, other)):
            ext4.write(path, where, 16, size, "test", 1_700_000_000)
        done = subprocess.run(["e2fsck", "-f", "-n", str(image)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        expect(done.returncode == 0, f"e2fsck of {size}: {done.stdout}")
        expect(image.read_bytes() == other.read_bytes(), "the order in the archive changes the image")
    asked = {
        "stat /big": "Size: 157286400", "stat /hard": "Links: 2", "ea_list /a/ping": "security.capability (20)",
        "stat /a": "User: 70000", "ea_list /a/list": "", "stat /a/young": "mtime: 0x6553f100", "stat /a/disk": "259:300",
        "stat /a/c": "Size: 200", "stat /a/b": 'Fast link dest: "empty"', "cat /many/a\\ name\\ of\\ some\\ length,\\ 1999": "",
    }  # fmt: skip
    for command, wanted in asked.items():
        said = subprocess.run(["debugfs", "-R", command, str(folder / "disk")], capture_output=True, text=True, errors="replace")
        text = " ".join(said.stdout.split())
        expect(wanted in text, f"debugfs {command}: {text}, no {wanted!r}")
    dumped = folder / "dumped"
    subprocess.run(["debugfs", "-R", f"dump /big {dumped}", str(folder / "disk")], check=True, capture_output=True)
    expect(dumped.read_bytes() == _tree()[13][1], "a large file is another one")
    bad = {
        "out of the tree": ([(_member("./../x"), b"")], "not a path inside"),
        "in no folder": ([(_member("./x/y"), b"")], "no such folder"),
        "in a file": ([(_member("./x"), b""), (_member("./x/y"), b"")], "no such folder"),
        "a link to nothing": ([(_member("./x", tarfile.LNKTYPE, linkname="./y"), b"")], "which is not there"),
        "a long name": ([(_member("./" + "x" * 256), b"")], "too long"),
        "long attributes": ([(_member("./x", pax_headers={"SCHILY.xattr.user.a": "x" * 200}), b"")], "too long for an inode"),
        "another kind of attribute": ([(_member("./x", pax_headers={"SCHILY.xattr.system.a": "x"}), b"")], "not known"),
    }
    for what, (members, wanted) in bad.items():
        path = _archive(folder / "bad.tar", members)
        refused(ext4.Ext4Error, lambda path=path: ext4.write(path, folder / "bad", 1, None, "test", 1), wanted, what)
    small = _archive(folder / "large.tar", [(_member("./x"), bytes(64 << 20))])
    refused(ext4.Ext4Error, lambda: ext4.write(small, folder / "bad", 0, 40, "test", 1), "too few", "a small disk")
    return f"3 sizes, {len(bad) + 1} faults named"


def whole(folder: Path) -> str:
    """What was saved stays when writing fails, and machines keep their disk."""
    path = folder / "a.lock"
    cache.put(path, b"first")
    expect(stat.S_IMODE(path.stat().st_mode) == 0o644, "a lock that others cannot read")
    path.unlink()
    path.mkdir()
    (path / "x").touch()
    refused(OSError, lambda: cache.put(path, b"second"), "", "a file in the place of a folder")
    expect(os.listdir(folder) == ["a.lock"], f"it left {os.listdir(folder)}")
    (path / "x").unlink()
    path.rmdir()
    saved, machine.FOLDER = machine.FOLDER, folder
    try:
        (folder / "vm.toml").touch()
        disk = folder / "image"
        with open(disk, "wb") as file:
            file.truncate(64 << 20)
            file.seek(1 << 20)
            file.write(b"data")
        parts = {"vmlinux": str(path.with_name("vm.toml")), "initramfs": str(folder / "vm.toml"), "disk": str(disk), "hash": "1"}
        machine.place("vm", parts)
        mine = folder / "vm" / "disk.raw"
        expect(mine.read_bytes() == disk.read_bytes(), "the copy is another disk")
        expect(mine.stat().st_blocks < 2048, f"the holes are filled: {mine.stat().st_blocks} blocks")
        mine.write_bytes(b"work")
        machine.place("vm", parts)
        refused(packages.PackageError, lambda: machine.place("vm", {**parts, "hash": "2"}), "stays as it is", "another build")
        expect(mine.read_bytes() == b"work", "the disk of a machine was replaced")
        refused(packages.PackageError, lambda: machine.place("nothing", parts), "has no configuration", "no configuration")
        refused(OSError, lambda: machine._make(folder / "new", {"disk": str(folder / "gone")}, "1"), "gone", "a part that is gone")
        expect(not list(folder.glob("*new*")), "half a machine is left")
    finally:
        machine.FOLDER = saved
    return "a lock, a machine"
