"""Debian's arm64 packages, fetched and unpacked into a cache; nothing is installed.

apt checks each list against Debian's signature and each package against the list. An unpacked package is there
whole or not at all, so that whatever interrupts a fetch, the next one goes on.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable

from .trouble import Missing, need, need_file

MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What user space is taken from comes first; the others are for their kernels.
SUITES = [
    "debian bookworm", "debian bookworm-updates", "debian-security bookworm-security", "debian bookworm-backports",
    "debian bullseye", "debian-security bullseye-security",
    "debian trixie", "debian trixie-updates", "debian-security trixie-security", "debian trixie-backports",
]
SOURCE_SUITES = ["debian bookworm", "debian bookworm-updates", "debian-security bookworm-security"]
# busybox, perf and trace-cmd, with the libraries that they ask for.
RECORDERS = [
    "busybox-static", "linux-perf", "trace-cmd", "libc6", "libgcc-s1", "libstdc++6", "libbabeltrace1", "libbz2-1.0",
    "libcap2", "libdw1", "libelf1", "libglib2.0-0", "liblzma5", "libnuma1", "libopencsd1", "libpcre2-8-0",
    "libperl5.36", "libpython3.11", "libslang2", "libtraceevent1", "libtraceevent1-plugin", "libtracefs1",
    "libunwind8", "libuuid1", "libzstd1", "zlib1g", "libcrypt1", "libexpat1", "libssl3",
]
LISTS_LAST = 24 * 3600.0  # seconds


def cache_folder() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "ptrauth-trace", "lab")


class Archive:
    """Packages by name. Asks the mirror only for what the cache lacks."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.environment = dict(os.environ, APT_CONFIG=folder + "/apt/apt.conf", LC_ALL="C")

    def _run(self, *words: str, cwd: str | None = None, configuration: str | None = None,
             errors: bool = False) -> str:
        """What it prints, or with `errors` what it complains of."""
        environment = self.environment | ({"APT_CONFIG": configuration} if configuration else {})
        result = subprocess.run(words, env=environment, cwd=cwd, check=False, capture_output=True, text=True)
        if result.returncode != 0:
            raise Missing(f"{' '.join(words[:2])}: {result.stderr.strip() or 'failed'} (mirror: {MIRROR})")
        return result.stderr if errors else result.stdout

    def _lists(self) -> None:
        """An archive of its own: this machine's packages and sources stay as they are."""
        base = self.folder + "/apt"
        stamp = base + "/fetched"
        if os.path.exists(stamp) and time.time() - os.stat(stamp).st_mtime < LISTS_LAST:
            return
        need("apt-get", "dpkg-deb")
        need_file(KEYRING, "debian-archive-keyring")
        self._configure(base, "deb", SUITES)
        if self._update():
            open(stamp, "w").close()
        elif not glob.glob(base + "/state/lists/*_dists_bookworm_main_binary-arm64_Packages*"):
            raise Missing(f"apt-get update: the lists of Debian 12 cannot be fetched (mirror: {MIRROR})")

    def _update(self) -> bool:
        """Whether every list was fetched: apt goes on with those of before, and ends with 0."""
        said = self._run("apt-get", "update", "-qq", errors=True)
        return not re.search("^[WE]: .*(?:[Ff]ailed to (?:fetch|download)|index files failed)", said, re.MULTILINE)

    def _configure(self, base: str, kind: str, suites: list[str]) -> None:
        for part in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(base, part), exist_ok=True)
        with open(base + "/sources.list", "w") as file:
            file.writelines(f"{kind} [signed-by={KEYRING}] {MIRROR}{suite} main\n" for suite in suites)
        open(base + "/status", "a").close()
        with open(base + "/apt.conf", "w") as file:
            file.write(
                'APT::Architecture "arm64"; APT::Architectures { "arm64"; }; Acquire::Languages "none";\n'
                'APT::Default-Release "/^bookworm(|-security|-updates)$/"; APT::Sandbox::User "";\n'
                f'Dir::State "{base}/state"; Dir::State::status "{base}/status"; Dir::Cache "{base}/cache";\n'
                f'Dir::Etc::sourcelist "{base}/sources.list"; Dir::Etc::sourceparts "-";\n')

    def source(self, package: str, name: str) -> str:
        """The folder cache/NAME with Debian 12's source of this package, its patches applied."""
        folder = os.path.join(self.folder, name)
        if os.path.exists(folder):
            return folder
        need("apt-get", "dpkg-source", "xz")
        need_file(KEYRING, "debian-archive-keyring")
        os.makedirs(self.folder, exist_ok=True)
        part = tempfile.mkdtemp(prefix=name + ".", dir=self.folder)
        try:
            self._configure(part + "/apt", "deb-src", SOURCE_SUITES)
            own = part + "/apt/apt.conf"
            self._run("apt-get", "update", "-qq", configuration=own)
            self._run("apt-get", "source", "-qq", "--download-only", package, cwd=part, configuration=own)
            descriptions = glob.glob(part + "/*.dsc")
            # apt has checked its files against the signed list.
            self._run("dpkg-source", "--no-check", "-x", descriptions[0], part + "/source")
            os.rename(part + "/source", folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return folder

    def unpack(self, packages: Iterable[str], name: str, only: str | None = None) -> str:
        """The folder cache/NAME with these packages in it; of their files those that match `only`, if given."""
        folder = os.path.join(self.folder, name)
        if os.path.exists(folder):
            return folder
        self._lists()
        os.makedirs(self.folder, exist_ok=True)
        debs = tempfile.mkdtemp(prefix=name + ".", dir=self.folder)
        try:
            self._run("apt-get", "download", "-qq", *packages, cwd=debs)
            part = debs + "/unpacked"
            os.mkdir(part)
            for deb in glob.glob(debs + "/*.deb"):
                with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE) as source:
                    assert source.stdout is not None and source.stderr is not None
                    words = ["tar", "-x", "-C", part, "--no-same-owner"]
                    taken = subprocess.run(words + (["--wildcards", only] if only else []), check=False,
                                           stdin=source.stdout, stderr=subprocess.PIPE)
                    source.stdout.close()  # where tar has failed nobody reads the rest
                    said = (taken.stderr + source.stderr.read()).decode(errors="replace")
                if taken.returncode != 0 or source.returncode != 0:
                    raise Missing(f"{os.path.basename(deb)} cannot be unpacked into {part}: {said.strip()}")
            os.chmod(part, 0o755)
            try:
                os.rename(part, folder)
            except OSError:  # somebody else was first
                if not os.path.isdir(folder):
                    raise
        finally:
            shutil.rmtree(debs, ignore_errors=True)
        return folder

    def kernels(self) -> list[str]:
        """The versions, oldest first, of which both the kernel and its debug symbols are there."""
        self._lists()
        names = set(self._run("apt-cache", "pkgnames", "linux-image-").split())
        found = []
        for name in names:
            version = re.fullmatch(r"linux-image-(\d[0-9.]*(?:-\d+|\+deb\d+(?:\.\d+)?))-arm64-dbg", name)
            if version and f"linux-image-{version[1]}-arm64" in names:
                found.append(version[1])
        return sorted(found, key=lambda v: [int(n) for n in re.findall(r"\d+", v)])

    def depends(self, package: str) -> list[str]:
        self._lists()
        text = self._run("apt-cache", "depends", "--no-recommends", "--no-suggests", package)
        return re.findall(r"^ {2}Depends: (\S+)$", text, re.MULTILINE)
