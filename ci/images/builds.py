"""Recipes built twice, from empty caches, with locks of what the mirror has today."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from debian import lock, locked, mirror, recipe
from harness.nested import CHECKOUT
from harness.vm import expect

BUILD = CHECKOUT / "images" / "build"
MIB = 1 << 20
# Of the system's own apt, which a build must leave alone.
LISTS = Path("/var/lib/apt/lists")


class Builds:
    """Images of recipes, in caches of their own below a folder.

    Not of the locks in the repository: mirrors drop what is old, and a suite must not fail with the age of a file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[str, dict[str, str]] = {}

    def _run(self, cache: str, *arguments: str) -> subprocess.CompletedProcess:
        settings = {**os.environ, "XDG_CACHE_HOME": str(self._folder / cache)}
        return subprocess.run([str(BUILD), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings)

    def _built(self, cache: str, recipe: str, *arguments: str) -> dict[str, str]:
        (self._folder / cache).mkdir(parents=True, exist_ok=True)
        done = self._run(cache, recipe, "--lock", str(self._lock(recipe)), *arguments)
        expect(done.returncode == 0, f"images/build {recipe}: exit code {done.returncode}: {done.stderr[-3000:]}")
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def _lock(self, recipe: str) -> Path:
        return self._folder / f"{recipe}.lock"

    def parts(self, recipe: str) -> dict[str, str]:
        """What to boot."""
        if recipe not in self._parts:
            if not self._lock(recipe).is_file():
                self._built("first", recipe, "--update")
            self._parts[recipe] = self._built("first", recipe)
        return self._parts[recipe]

    def twice(self, recipe: str) -> str:
        """The same hash from two empty caches; the second has only the packages that the first has fetched."""
        self._built("first", recipe, "--update")
        lists = sorted(LISTS.iterdir())
        began = time.monotonic()
        first = self.parts(recipe)
        middle = time.monotonic()
        known = lock.read(self._lock(recipe)).packages
        pool = self._folder / "second" / "caraway" / "pool"
        shutil.rmtree(self._folder / "second", ignore_errors=True)
        pool.mkdir(parents=True)
        for one in known:
            os.link(self._folder / "first" / "caraway" / "pool" / f"{one.sha256}.deb", pool / f"{one.sha256}.deb")
        second = self._built("second", recipe)
        end = time.monotonic()
        expect(sorted(LISTS.iterdir()) == lists, f"{LISTS} has lost what it had")
        expect(first["hash"] == second["hash"], f"{recipe}: {self._differs(first, second)}")
        size = ""
        if "disk" in first:
            used = Path(first["disk"]).stat().st_blocks * 512 // MIB
            size = f", {used} MiB of a disk of {Path(first['disk']).stat().st_size // MIB} MiB"
            check = subprocess.run(["e2fsck", "-f", "-n", first["disk"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            expect(check.returncode == 0, f"{recipe}: e2fsck says {check.stdout[-2000:]}")
        shutil.rmtree(self._folder / "second")
        seconds = f"{middle - began:.0f} s, of fetched packages {end - middle:.0f} s"
        return f"{len(known)} packages, {seconds}{size}, hash {first['hash'][:16]}"

    def _differs(self, first: dict[str, str], second: dict[str, str]) -> str:
        """Which parts of two builds are not the same."""
        parts = [key for key in ("vmlinuz", "initramfs", "disk") if key in first]
        return f"two builds differ in {[key for key in parts if subprocess.run(['cmp', '-s', first[key], second[key]]).returncode]}"

    def gone(self) -> str:
        """A version that no mirror has is named; so is a file that is not the lock's. Nothing is left of the attempt."""
        self.parts("console")
        path = self._lock("console")
        text = path.read_text(encoding="ascii")
        image = lock.read(path).find("busybox-static")
        for old, new, wanted in (
            (f"{image.version} {image.architecture}", f"{image.version}~gone {image.architecture}", f"busybox-static {image.version}~gone"),
            (image.sha256, "0" * 64, f"busybox-static {image.version}: the mirror's file is not the one of the lock"),
        ):
            (self._folder / "gone.lock").write_text(text.replace(old, new).replace(image.sha256, "0" * 64), encoding="ascii")
            done = self._run("first", "console", "--lock", str(self._folder / "gone.lock"))
            expect(done.returncode == 1 and wanted in done.stderr, f"exit code {done.returncode}: {done.stderr}, no {wanted!r}")
        expect(not list((self._folder / "first" / "caraway" / "pool").glob(".fetch*")), "half a download is left")
        other = self._run("first", "console-disk", "--lock", str(path))
        expect(other.returncode == 1 and "--update console-disk" in other.stderr, f"another recipe's lock: {other.stderr}")
        return "2 packages and a recipe named"

    def shipped(self) -> str:
        """The locks in the repository are those of their recipes; how many still have what they name, for the report."""
        source = mirror.Mirror(locked.SUITE)
        source.refresh()
        found = []
        for path in sorted((CHECKOUT / "images" / "recipes").glob("*.lock")):
            known = lock.read(path)
            locked.check(recipe.read(path.stem), known)
            gone = source.gone(known.packages)
            found.append(f"{path.stem} {len(known.packages)} packages" + (f", {len(gone)} of them gone" if gone else ""))
        expect(found, "no recipe has a lock")
        return "; ".join(found)
