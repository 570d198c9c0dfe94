"""Folders of this machine. Python sees every name in them: Java sees those that its locale can say, and follows every link."""

import contextlib
import os
import re
import stat
from collections.abc import Iterable

from facts import NOT_THERE, Facts, absent, time_of

CPU = r"cpu(0|[1-9]\d*)"
# As the program tells what it reads as one recording: raw ring buffers, what a killed trace-cmd left, perf record --threads.
DUMP = re.compile(rf"(?=.*(trace_pipe_raw|snapshot_raw))(.*\.)?{CPU}(\..*)?|.+\.{CPU}")
DUMP_OF_CPU = re.compile("(trace_pipe_raw|snapshot_raw).*")
DATA = re.compile(r"data(\.\d+)?")
# What lies with them and is none of its own.
BESIDE = re.compile(rf"(.*\.)?{CPU}\.stats|.*\.unfinished|(trace_clock|saved_cmdlines|saved_tgids|kallsyms|modules|printk_formats|"
                    r"buffer_(total_)?size_kb|trace_options|tracing_on)(\.(gz|xz|zst))?")
FOLDERS = re.compile(rf"{CPU}|per_cpu|events|formats|options|kcore_dir.*")
# What is a recording by its name, also among those.
NAMED = re.compile(r".+\.(data|dat)(\.(gz|xz|zst))?")
# How perf.data, of either order of bytes, and trace.dat begin: the page of a raw buffer begins with a time.
WHOLE = (b"PERFILE2", b"2ELIFREP", b"\x17\x08Dtracing")
GONE = "was in its folder when that was listed, and is gone"


def raw(path: str) -> bytes:
    """As the machine has it, whatever the locale."""
    return path.encode("utf-8", "surrogateescape")


def names(folder: str) -> tuple[list[str], list[str]]:
    """Of files and links, and of folders."""
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(raw(folder)) as found:
        for entry in found:
            kind = folders if entry.is_dir(follow_symlinks=False) else files
            kind.append(entry.name.decode("utf-8", "surrogateescape"))
    return sorted(files), sorted(folders)


def parts(folder: str) -> list[str]:
    """The files that hold the events of a recording that is this folder; none where it is no recording."""
    try:
        files, folders = names(folder)
        if "data" in files:
            return [name for name in files if DATA.fullmatch(name)]
        found = [name for name in files if DUMP.fullmatch(name) and not is_whole(folder, name)]
        of_cpus = [name for name in folders if re.fullmatch(CPU, name)]
        if not found and not of_cpus and "per_cpu" in folders:
            of_cpus = [f"per_cpu/{name}" for name in names(f"{folder}/per_cpu")[1] if re.fullmatch(CPU, name)]
        return found or [f"{cpu}/{name}" for cpu in of_cpus for name in names(f"{folder}/{cpu}")[0]
                         if DUMP_OF_CPU.fullmatch(name)]
    except OSError:
        return []


def is_whole(folder: str, name: str) -> bool:
    """Of a file that is called as that of a CPU: whether it is a recording by itself. Tracefs' own are not opened, since what
    is read of them is gone."""
    path = raw(f"{folder}/{name}")
    if "_raw" in name or not os.path.isfile(path):
        return False
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(10).startswith(WHOLE)
    return False


def look(path: str, missing: str = NOT_THERE) -> Facts:
    """Of a file, or of a folder that is a recording."""
    try:
        status = os.stat(raw(path))
        if stat.S_ISDIR(status.st_mode):
            missing = "is a folder that is a recording, and a part of it is a link to what is not there"
            all_of_it = [os.stat(raw(f"{path}/{name}")) for name in parts(path)]
            if not all_of_it:
                return absent("is a folder and no recording: give a line to each recording in it")
            return Facts(sum(part.st_size for part in all_of_it), time_of(max(all_of_it, key=lambda part: part.st_mtime_ns)))
    except (FileNotFoundError, NotADirectoryError):
        return absent(missing)
    except (OSError, ValueError) as error:
        return absent(f"could not be looked up: {getattr(error, 'strerror', None) or error}")
    if not stat.S_ISREG(status.st_mode):
        return absent("is no file, but a pipe, a socket or a device")
    return Facts(status.st_size, time_of(status))


class Tree:
    """All recordings below a folder, by path, and what of it was left out. A link to a folder is not followed; one to a file
    that has its own row has none."""

    def __init__(self, top: str) -> None:
        self.found: dict[str, Facts] = {}
        self.hidden: list[str] = []
        self.links: list[str] = []
        self.twice: list[str] = []
        self.to_files: list[str] = []
        self.walk(top)
        have = {os.path.realpath(raw(path)) for path in self.found}
        for path in self.to_files:
            real = os.path.realpath(raw(path))
            if real in have:
                self.twice.append(path)
            else:
                have.add(real)
                self.found[path] = look(path, "is a link to what is not there")

    def walk(self, top: str) -> None:
        waiting = [top]
        # Folders of a recording that is a folder: of what lies there only what is called a recording is another one.
        inner: set[str] = set()
        while waiting:
            folder = waiting.pop()
            try:
                files, folders = names(folder)
            except NotADirectoryError:
                self.found[folder] = look(folder, GONE)
                continue
            except OSError as error:
                self.found[folder] = absent(f"could not be listed: {error.strerror}")
                continue
            name = os.path.basename(folder)
            its_own = folder in inner and FOLDERS.fullmatch(name) is not None
            its_parts = [] if its_own else parts(folder)
            formats = name in ("events", "formats") and "header_page" in files  # Of raw buffers that lie beside.
            if its_parts:
                self.found[folder] = look(folder, GONE)
                files = [name for name in files if name not in its_parts and not BESIDE.fullmatch(name)]
            elif folder in inner or formats:
                files = [name for name in files if NAMED.fullmatch(name)]
            below = self.shown(folder, folders)
            inner.update(path for path in below if folder in inner or formats
                         or (its_parts and FOLDERS.fullmatch(os.path.basename(path))))
            self.take(folder, files)
            waiting += below

    def take(self, folder: str, files: list[str]) -> None:
        for path in self.shown(folder, [name for name in files if not name.startswith("vmlinux")]):
            if not os.path.islink(raw(path)):
                self.found[path] = look(path, GONE)
            elif os.path.isdir(raw(path)):
                self.links.append(path)
            else:
                self.to_files.append(path)

    def shown(self, folder: str, these: list[str]) -> list[str]:
        """Paths of these, without what Spark would take for its own."""
        paths = [f"{folder.rstrip('/')}/{name}" for name in these]
        self.hidden += [path for path, name in zip(paths, these, strict=True) if name.startswith(("_", "."))]
        return [path for path, name in zip(paths, these, strict=True) if not name.startswith(("_", "."))]

    def rows(self) -> Iterable[tuple[str, Facts]]:
        """As tables can say them, which are UTF-8."""
        for path, facts in self.found.items():
            spelled = raw(path).decode("utf-8", "backslashreplace")
            yield spelled, facts if spelled == path else absent("its name is not UTF-8, as tables and reports are: give it another")
