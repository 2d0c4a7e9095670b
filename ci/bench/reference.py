"""The reference's C code, from Debian's source packages, built outside the checkout as Debian builds it."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from debian import cache, packages
from debian.packages import PackageError

OWN = Path(__file__).resolve().parent / "reference"
COMMON = "subprojects/spice-common"


@dataclass(frozen=True)
class Part:
    """What is compiled with the headers of one source package."""

    package: str
    # Files of the package, and its folders with headers that they include.
    paths: tuple[str, ...]
    include: tuple[str, ...]
    # Our own files.
    own: tuple[str, ...]


# The GLZ decoder is in the client, all else of the codecs in the server too.
CODECS = (
    Part(
        "spice",
        (
            "server/glz-encoder.c", "server/glz-encoder-dict.c",
            f"{COMMON}/common/quic.c", f"{COMMON}/common/lz.c", f"{COMMON}/common/mem.c",
        ),
        ("server", COMMON),
        ("support.c", "driver.c", "codec_quic.c", "codec_lz.c", "codec_glz.c"),
    ),
    Part(
        "spice-gtk",
        ("src/decode-glz.c", f"{COMMON}/common/canvas_utils.c"),
        ("src", COMMON),
        ("codec_glz_decoder.c",),
    ),
)  # fmt: skip
CANVAS = (
    Part(
        "spice-gtk",
        (f"{COMMON}/common/pixman_utils.c", f"{COMMON}/common/mem.c"),
        (COMMON,),
        ("support.c", "canvas/driver.c", "canvas/draw.c"),
    ),
)
# Packages whose headers the sources want, and libraries that are installed with the client.
HEADERS = ("libglib2.0-dev", "libspice-protocol-dev", "libpixman-1-dev")
LIBRARIES = ("-l:libglib-2.0.so.0", "-l:libpixman-1.so.0")
# Debian packages that unpacking and building want, besides those of ci/setup.
TOOLS = ("dpkg-dev",)
TRIPLET = "x86_64-linux-gnu"


def _said(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise PackageError(f"{' '.join(command)}:\n{done.stdout.strip()}")
    return done.stdout


def _apt_options() -> list[str]:
    """Options under which apt knows the source packages of the Debian archives this system uses, in folders of ours."""
    site = "$(ORIGIN) $(SITE) $(RELEASE) $(COMPONENT)"
    targets = _said(["apt-get", "indextargets", "--format", site, "Created-By: Packages"])
    targets = {line.removeprefix("Debian ") for line in targets.splitlines() if line.startswith("Debian ")}
    lines = sorted(f"deb-src {target}" for target in targets)
    if not lines:
        raise PackageError("apt knows no archive of Debian")
    folder = cache.root() / "apt-sources"
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text("\n".join(lines) + "\n", encoding="ascii")
    options = {
        "Dir::Etc::sourcelist": folder / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": folder / "lists", "Dir::Cache": folder,
        # As root apt would drop to the user _apt, which may not write here.
        "APT::Sandbox::User": "root",
    }  # fmt: skip
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


def source_package(name: str) -> tuple[str, Path]:
    """Version and unpacked source of package `name`, patched as Debian does, fetched once into the cache."""
    folder = cache.root() / "sources"
    found = sorted(folder.glob(f"{name}_*")) if folder.is_dir() else []
    found = [path for path in found if path.is_dir()]
    if not found:
        options = _apt_options()
        _said(["apt-get", *options, "update", "-q"])
        told = _said(["apt-get", *options, "source", "--print-uris", "-q", name])
        version = re.search(rf" {re.escape(name)}_(\S+)\.dsc ", told)
        if version is None:
            raise PackageError(f"the source of {name} has no version:\n{told}")

        def build(work: Path) -> None:
            _said(["apt-get", *options, "source", "--download-only", "-q", name], cwd=work)
            (description,) = work.glob("*.dsc")
            # Whose it is was checked by apt.
            _said(["dpkg-source", "--no-check", "-x", description.name, "source"], cwd=work)

        found = [cache.entry("sources", f"{name}_{version[1].replace(':', '%3a')}", build)]
    return found[-1].name.partition("_")[2], found[-1] / "source"


def _flags(source: Path) -> list[str]:
    """Debian's flags for C, and those meson adds for code that goes into a shared library."""
    flags = [_said(["dpkg-buildflags", "--get", kind], cwd=source) for kind in ("CFLAGS", "CPPFLAGS")]
    return [*" ".join(flags).split(), "-fPIC"]


def driver(parts: tuple[Part, ...]) -> tuple[str, Path]:
    """What was built of the reference, in words, and the program with it that a bench drives."""
    sources = {part.package: source_package(part.package) for part in parts}
    folders = [packages.unpacked(name) for name in HEADERS]
    flags = _flags(sources[parts[0].package][1])
    own = sorted(path for path in OWN.glob("**/*") if path.is_file())
    shown = [flag for flag in flags if not flag.startswith("-ffile-prefix-map")]
    compiler = _said(["gcc", "--version"]).splitlines()[0]
    versions = [f"{name} {version}" for name, (version, _) in sources.items()]

    def build(work: Path) -> None:
        system = []
        for package in folders:
            system += [package / f"usr/include/{name}" for name in ("spice-1", "glib-2.0", "pixman-1")]
            system.append(package / f"usr/lib/{TRIPLET}/glib-2.0/include")
        system = [f"-I{folder}" for folder in system if folder.is_dir()]
        objects = []

        for part in parts:
            source = sources[part.package][1]
            include = [f"-I{folder}" for folder in (OWN, *(source / folder for folder in part.include))]
            for path in (*(source / path for path in part.paths), *(OWN / path for path in part.own)):
                objects.append(str(work / f"{len(objects)}.o"))
                _said(["gcc", *flags, *include, *system, "-c", str(path), "-o", objects[-1]])
        _said(["gcc", *objects, *LIBRARIES, "-o", str(work / "driver")])

    name = cache.digest(versions, shown, compiler, parts, HEADERS, *(path.read_bytes() for path in own))
    folder = cache.entry("bench-reference", name, build)
    cache.keep_newest("bench-reference", 6)
    return f"{' and '.join(versions)}, {compiler}, {' '.join(shown)}", folder / "driver"
