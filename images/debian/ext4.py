"""Writes an ext4 file system that holds what is in a tar archive: same archive, same bytes, on any host.

mkfs.ext4 -d would take order and times from the file system that the tree lies on. Nothing here is mounted, owned or
executed, so nobody has to be root. There are extents and a journal, no checksums of metadata and no indexed folders: the
kernel and e2fsck take it as it is.
"""

import stat
import struct
import tarfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = 4096
BLOCKS_PER_GROUP = 8 * BLOCK
INODE = 256
# What inodes have beyond the 128 bytes of ext2.
EXTRA = 32
DESCRIPTOR = 32
INODES_IN_BLOCK = BLOCK // INODE
ROOT, JOURNAL, LOST_AND_FOUND, FIRST = 2, 8, 11, 11
EXTENTS_FLAG = 0x80000
# An extent, and how many there are in an inode and in a block.
EXTENT_BLOCKS = 32768
EXTENTS_IN_INODE = 4
EXTENTS_IN_BLOCK = (BLOCK - 12) // 12
EXTENT_MAGIC = 0xF30A
XATTR_MAGIC = 0xEA020000
XATTR_PREFIXES = {"user.": 1, "trusted.": 4, "security.": 6}
# Access lists, of the journal's folders: systemd sets them at each start.
XATTR_LEFT_OUT = ("system.posix_acl_access", "system.posix_acl_default")
JOURNAL_MAGIC = 0xC03B3998
# Of the largest image there may be: descriptors of groups have one block.
MOST_BLOCKS = BLOCK // DESCRIPTOR * BLOCKS_PER_GROUP
SHORT_LINK = 60
# With journal: for file systems that somebody goes on with.
JOURNAL_BLOCKS = 4096
TYPES = {stat.S_IFREG: 1, stat.S_IFDIR: 2, stat.S_IFCHR: 3, stat.S_IFBLK: 4, stat.S_IFIFO: 5, stat.S_IFLNK: 7}
KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK, tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}  # fmt: skip


class Ext4Error(Exception):
    """What the archive holds does not go into the file system."""


@dataclass
class Node:
    """An inode, and what is in it when it is a folder."""

    number: int
    mode: int
    uid: int = 0
    gid: int = 0
    time: int = 0
    links: int = 1
    size: int = 0
    device: tuple[int, int] | None = None
    target: bytes = b""
    xattrs: dict[str, bytes] = field(default_factory=dict)
    extents: list[tuple[int, int]] = field(default_factory=list)
    # The block with the extents that do not fit into the inode.
    leaf: int | None = None
    entries: dict[bytes, "Node"] = field(default_factory=dict)


class Image:
    """An image of `size` bytes, being written to `path`."""

    def __init__(self, path: Path, size: int, inodes: int, name: str, moment: int, journal: bool) -> None:
        self._blocks = size // BLOCK
        if not 64 < self._blocks <= MOST_BLOCKS:
            raise Ext4Error(f"{size >> 20} MiB: an image has up to {MOST_BLOCKS * BLOCK >> 20} MiB")
        self._groups = -(-self._blocks // BLOCKS_PER_GROUP)
        # Bitmaps have a bit for each inode of a group, and tables whole blocks.
        share = -(-inodes // self._groups)
        self._inodes_in_group = min(-(-share // INODES_IN_BLOCK) * INODES_IN_BLOCK, BLOCKS_PER_GROUP)
        self._table_blocks = self._inodes_in_group // INODES_IN_BLOCK
        self._moment = moment
        # Names of the file system and of the order in its folders: from what it is for, and not by chance.
        self._uuid = uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.caraway.example.org").bytes
        self._used = [bytearray(BLOCK) for _ in range(self._groups)]
        self._free = [0] * self._groups
        self._next = 0
        self._count = FIRST - 1
        self._nodes: list[Node] = []
        self._file = open(path, "wb")
        self._file.truncate(self._blocks * BLOCK)
        for group in range(self._groups):
            self._lay_out(group)
        self._root = self._make(Node(ROOT, stat.S_IFDIR | 0o755, time=moment, links=2))
        lost = self._make(Node(self._number(), stat.S_IFDIR | 0o700, time=moment, links=2))
        self._root.entries[b"lost+found"] = lost
        self._root.links += 1
        self._journal = journal
        if journal:
            self._add_journal()

    def _make(self, node: Node) -> Node:
        self._nodes.append(node)
        return node

    def _number(self) -> int:
        self._count += 1
        if self._count > self._inodes_in_group * self._groups:
            raise Ext4Error("there are more files than inodes")
        return self._count

    @staticmethod
    def _has_copy(group: int) -> bool:
        """Whether the superblock is there too."""
        if group <= 1:
            return True
        for base in (3, 5, 7):
            power = base
            while power < group:
                power *= base
            if power == group:
                return True
        return False

    def _first(self, group: int) -> int:
        """The first of a group's blocks that is not the superblock's or the descriptors'."""
        return group * BLOCKS_PER_GROUP + (2 if self._has_copy(group) else 0)

    def _lay_out(self, group: int) -> None:
        end = min(self._blocks - group * BLOCKS_PER_GROUP, BLOCKS_PER_GROUP)
        own = self._first(group) + 2 + self._table_blocks - group * BLOCKS_PER_GROUP
        if own >= end:
            raise Ext4Error(f"the last group of {end} blocks is too small for its own {own}")
        for block in (*range(own), *range(end, BLOCKS_PER_GROUP)):
            self._used[group][block // 8] |= 1 << block % 8
        self._free[group] = end - own

    def _take(self, count: int) -> list[tuple[int, int]]:
        """`count` free blocks, one after the other as far as groups allow: the start and length of each piece."""
        pieces: list[tuple[int, int]] = []
        while count:
            group, block = divmod(self._next, BLOCKS_PER_GROUP)
            if self._next >= self._blocks:
                raise Ext4Error(f"{self._blocks * BLOCK >> 20} MiB are too few for what is in the archive")
            if self._used[group][block // 8] >> block % 8 & 1:
                self._next += 1
                continue
            # Until its end a group is free once its own blocks are passed.
            end = min((group + 1) * BLOCKS_PER_GROUP, self._blocks)
            length = min(count, end - self._next, EXTENT_BLOCKS - 1)
            for one in range(block, block + length):
                self._used[group][one // 8] |= 1 << one % 8
            self._free[group] -= length
            pieces.append((self._next, length))
            self._next += length
            count -= length
        return pieces

    def _fill(self, node: Node, size: int, read) -> None:
        """Gives a node `size` bytes that `read(length)` has."""
        node.size = size
        node.extents = self._take(-(-size // BLOCK))
        for start, length in node.extents:
            self._file.seek(start * BLOCK)
            left = min(length * BLOCK, size)
            size -= left
            while left:
                part = read(min(left, 1 << 20))
                if not part:
                    raise Ext4Error("the archive ends amid a file")
                self._file.write(part)
                left -= len(part)
        if len(node.extents) > EXTENTS_IN_INODE:
            if len(node.extents) > EXTENTS_IN_BLOCK:
                raise Ext4Error("a file has more pieces than one block tells")
            ((node.leaf, _),) = self._take(1)
            self._write(node.leaf * BLOCK, _extents(node.extents, EXTENTS_IN_BLOCK).ljust(BLOCK, b"\0"))

    def _write(self, position: int, data: bytes) -> None:
        self._file.seek(position)
        self._file.write(data)

    def _folder(self, path: str) -> Node:
        node = self._root
        for part in path.split("/") if path else ():
            node = node.entries.get(part.encode("utf-8", "surrogateescape"))
            if node is None or not stat.S_ISDIR(node.mode):
                raise Ext4Error(f"{path}: no such folder in the archive before what is in it")
        return node

    def add(self, archive: tarfile.TarFile) -> None:
        """Puts in all that an archive holds, in the order of names."""
        members = {}
        for member in archive:
            name = member.name.removeprefix("./").strip("/")
            if name == ".":
                name = ""
            if any(part in ("", ".", "..") for part in name.split("/")) and name:
                raise Ext4Error(f"{member.name!r}: not a path inside")
            members[name] = member
        # A link comes after what it leads to.
        for name in sorted(members, key=lambda name: (members[name].islnk(), name)):
            self._put(name, members[name], archive)

    def _put(self, name: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        folder, _, last = name.rpartition("/")
        parent = self._folder(folder)
        key = last.encode("utf-8", "surrogateescape")
        if len(key) > 255:
            raise Ext4Error(f"{name}: the name is too long")
        if member.islnk():
            linked = member.linkname.removeprefix("./").strip("/")
            where, _, what = linked.rpartition("/")
            node = self._folder(where).entries.get(what.encode("utf-8", "surrogateescape"))
            if node is None or stat.S_ISDIR(node.mode):
                raise Ext4Error(f"{name}: a link to {linked}, which is not there")
            node.links += 1
            parent.entries[key] = node
            return
        kind = stat.S_IFREG if member.isreg() else KINDS.get(member.type)
        if kind is None:
            raise Ext4Error(f"{name}: of a kind that is not known")
        # Where the tree was made is not to be seen: nothing in it is younger than what it was made from.
        moment = max(0, min(int(member.mtime), self._moment))
        xattrs = {
            key.removeprefix("SCHILY.xattr."): value.encode("utf-8", "surrogateescape")
            for key, value in member.pax_headers.items()
            if key.startswith("SCHILY.xattr.") and not key.endswith(XATTR_LEFT_OUT)
        }  # fmt: skip
        mode = kind | member.mode & 0o7777
        if not name or (name == "lost+found" and kind == stat.S_IFDIR):
            node = self._root.entries[b"lost+found"] if name else self._root
            node.mode, node.uid, node.gid, node.time = mode, member.uid, member.gid, moment
            return
        node = self._make(Node(self._number(), mode, member.uid, member.gid, moment, xattrs=xattrs))
        parent.entries[key] = node
        if kind == stat.S_IFDIR:
            node.links = 2
            parent.links += 1
        elif kind == stat.S_IFLNK:
            node.target = member.linkname.encode("utf-8", "surrogateescape")
            node.size = len(node.target)
            if node.size >= SHORT_LINK:
                self._fill(node, node.size, _reader(node.target))
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            node.device = member.devmajor, member.devminor
        elif kind == stat.S_IFREG and member.size:
            with archive.extractfile(member) as content:
                self._fill(node, member.size, content.read)

    def _add_journal(self) -> None:
        node = self._make(Node(JOURNAL, stat.S_IFREG | 0o600, time=self._moment))
        head = struct.pack(">7I", JOURNAL_MAGIC, 4, 0, BLOCK, JOURNAL_BLOCKS, 1, 1) + bytes(20) + self._uuid + struct.pack(">I", 1)
        node.size = JOURNAL_BLOCKS * BLOCK
        node.extents = self._take(JOURNAL_BLOCKS)
        if len(node.extents) > EXTENTS_IN_INODE:
            raise Ext4Error("no room for the journal")
        self._write(node.extents[0][0] * BLOCK, head)

    def finish(self) -> None:
        """Writes folders and everything that says where things are."""
        # In the order in which they were made: a folder's blocks are not known before all in it has a number.
        for node, parent in self._folders():
            content = _entries(node, parent)
            self._fill(node, len(content), _reader(content))
        for node in self._nodes:
            group, index = divmod(node.number - 1, self._inodes_in_group)
            self._write((self._first(group) + 2) * BLOCK + index * INODE, self._inode(node))
        descriptors = b""
        free_inodes = 0
        for group in range(self._groups):
            first = self._first(group)
            taken = min(max(self._count - group * self._inodes_in_group, 0), self._inodes_in_group)
            folders = sum(
                stat.S_ISDIR(node.mode) and (node.number - 1) // self._inodes_in_group == group for node in self._nodes
            )  # fmt: skip
            bits = bytearray(b"\xff" * BLOCK)
            for inode in range(taken, self._inodes_in_group):
                bits[inode // 8] &= ~(1 << inode % 8)
            self._write(first * BLOCK, self._used[group])
            self._write((first + 1) * BLOCK, bits)
            free = self._inodes_in_group - taken
            free_inodes += free
            numbers = (first, first + 1, first + 2, self._free[group], free, folders)
            descriptors += struct.pack("<3I3H", *numbers).ljust(DESCRIPTOR, b"\0")
        for group in filter(self._has_copy, range(self._groups)):
            start = group * BLOCKS_PER_GROUP * BLOCK
            # The first one leaves room for a boot sector.
            self._write(start + (0 if group else 1024), self._superblock(group, free_inodes))
            self._write(start + BLOCK, descriptors)
        self._file.close()

    def _folders(self) -> list[tuple[Node, Node]]:
        found = [(self._root, self._root)]
        for node, _ in found:
            found += [(child, node) for _, child in sorted(node.entries.items()) if stat.S_ISDIR(child.mode)]
        return found

    def _inode(self, node: Node) -> bytes:
        blocks = sum(length for _, length in node.extents) + (node.leaf is not None)
        body = b""
        flags = 0
        if stat.S_ISLNK(node.mode) and node.size < SHORT_LINK:
            body = node.target
        elif node.device is not None:
            major, minor = node.device
            if major < 256 and minor < 256:
                body = struct.pack("<I", major << 8 | minor)
            else:
                body = struct.pack("<II", 0, minor & 0xFF | major << 8 | (minor & ~0xFF) << 12)
        elif stat.S_ISREG(node.mode) or stat.S_ISDIR(node.mode) or stat.S_ISLNK(node.mode):
            flags = EXTENTS_FLAG
            if node.leaf is None:
                body = _extents(node.extents, EXTENTS_IN_INODE)
            else:
                body = struct.pack("<4HI", EXTENT_MAGIC, 1, EXTENTS_IN_INODE, 1, 0) + struct.pack("<IIHH", 0, node.leaf, 0, 0)
        time = node.time
        return (
            struct.pack("<HHIIIII", node.mode, node.uid & 0xFFFF, node.size & 0xFFFFFFFF, time, time, time, 0)
            + struct.pack("<HHIII", node.gid & 0xFFFF, node.links, blocks * (BLOCK // 512), flags, 0)
            + body.ljust(60, b"\0")
            + struct.pack("<IIIIHHHHHH", 0, 0, node.size >> 32, 0, 0, 0, node.uid >> 16, node.gid >> 16, 0, 0)
            + struct.pack("<2H7I", EXTRA, 0, 0, 0, 0, time, 0, 0, 0)
            + _xattrs(node)
        ).ljust(INODE, b"\0")

    def _superblock(self, group: int, free_inodes: int) -> bytes:
        journal = JOURNAL if self._journal else 0
        return (
            struct.pack("<4I", self._inodes_in_group * self._groups, self._blocks, 0, sum(self._free))
            + struct.pack("<5I", free_inodes, 0, 2, 2, BLOCKS_PER_GROUP)
            + struct.pack("<4I", BLOCKS_PER_GROUP, self._inodes_in_group, 0, self._moment)
            # Never checked for its age; clean; what goes wrong is passed over.
            + struct.pack("<6H", 0, 0xFFFF, 0xEF53, 1, 1, 0)
            + struct.pack("<4I2H", self._moment, 0, 0, 1, 0, 0)
            # attributes and journal; types in folders and extents; few copies, large files, folders, inodes
            + struct.pack("<IHH3I", FIRST, INODE, group, 0x8 | (0x4 if journal else 0), 0x2 | 0x40, 0x1 | 0x2 | 0x20 | 0x40)
            + self._uuid + b"caraway-root".ljust(16, b"\0") + bytes(64)
            + struct.pack("<IBBH", 0, 0, 0, 0) + bytes(16) + struct.pack("<III", journal, 0, 0)
            # The order of names in indexed folders, when the kernel makes some.
            + self._uuid + struct.pack("<BBHIII", 1, 0, DESCRIPTOR, 0xC, 0, self._moment) + bytes(68)
            + struct.pack("<IIIHHI", 0, 0, 0, EXTRA, EXTRA, 1)
        ).ljust(1024, b"\0")  # fmt: skip


def _reader(content: bytes):
    """What reads from bytes as from a file."""
    view = memoryview(content)
    position = 0

    def read(length: int) -> bytes:
        nonlocal position
        part = view[position : position + length]
        position += len(part)
        return bytes(part)

    return read


def _extents(pieces: list[tuple[int, int]], most: int) -> bytes:
    data = struct.pack("<4HI", EXTENT_MAGIC, len(pieces), most, 0, 0)
    logical = 0
    for start, length in pieces:
        data += struct.pack("<IHHI", logical, length, 0, start)
        logical += length
    return data


def _entries(node: Node, parent: Node) -> bytes:
    """The blocks of a folder: each entry with its length, the last one of a block up to its end."""
    entries = [(b".", node), (b"..", parent), *sorted(node.entries.items())]
    blocks: list[bytearray] = []
    last = 0
    for name, child in entries:
        need = 8 + -(-len(name) // 4) * 4
        if not blocks or len(blocks[-1]) + need > BLOCK:
            if blocks:
                struct.pack_into("<H", blocks[-1], last + 4, BLOCK - last)
                blocks[-1] += bytes(BLOCK - len(blocks[-1]))
            blocks.append(bytearray())
        last = len(blocks[-1])
        entry = struct.pack("<IHBB", child.number, need, len(name), TYPES[stat.S_IFMT(child.mode)]) + name
        blocks[-1] += entry.ljust(need, b"\0")
    struct.pack_into("<H", blocks[-1], last + 4, BLOCK - last)
    blocks[-1] += bytes(BLOCK - len(blocks[-1]))
    return b"".join(blocks)


def _xattrs(node: Node) -> bytes:
    """The attributes of a node, which have the room behind its other fields."""
    if not node.xattrs:
        return b""
    room = INODE - 128 - EXTRA - 4
    entries = values = b""
    if sum(20 + len(name) + len(value) + 4 for name, value in node.xattrs.items()) > room:
        raise Ext4Error(f"the attributes {', '.join(sorted(node.xattrs))} are too long for an inode")
    for name, value in sorted(node.xattrs.items()):
        prefix = next((prefix for prefix in XATTR_PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            raise Ext4Error(f"the attribute {name} is of a kind that is not known")
        key = name.removeprefix(prefix).encode()
        stored = value.ljust(-(-len(value) // 4) * 4, b"\0")
        values = stored + values
        entry = struct.pack("<BBHIII", len(key), XATTR_PREFIXES[prefix], room - len(values), 0, len(value), 0) + key
        entries += entry.ljust(-(-len(entry) // 4) * 4, b"\0")
    return struct.pack("<I", XATTR_MAGIC) + entries.ljust(room - len(values), b"\0") + values


def write(archive: Path, image: Path, spare_mib: int, size_mib: int | None, name: str, moment: int) -> None:
    """Writes the image of an archive: of `size_mib` MiB and with a journal, else as large as it has to be and `spare_mib`."""
    with tarfile.open(archive, "r:") as tar:
        members = list(tar)
        # Ends of blocks, folders and inodes, of which there are more than there are files.
        used = sum(-(-member.size // BLOCK) * BLOCK for member in members)
        folders = sum(member.isdir() for member in members) * BLOCK
        inodes = len(members) + 8192
        least = used + folders + inodes * INODE + (used >> 6) + (4 << 20)
        if size_mib is None:
            size = least + (spare_mib << 20)
            size = -(-size // (1 << 20)) << 20
        else:
            size = size_mib << 20
            inodes = max(inodes, size >> 14)
        # What would be left in a last group too small for its own tables.
        whole, rest = divmod(size, BLOCKS_PER_GROUP * BLOCK)
        if whole and rest < 16 << 20:
            size += (16 << 20) - rest if rest or size_mib is None else 0
        made = Image(image, size, inodes, name, moment, size_mib is not None)
        made.add(tar)
        made.finish()
