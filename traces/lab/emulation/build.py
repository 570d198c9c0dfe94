"""A kernel built from its tree, outside of it, so that a second time only what changed is compiled."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable

from .kernel import Kernel
from .trouble import Missing, Unbootable, Usage, need

LAST_LINES = 30
# All that LLVM= asks for: a clang of another maker may come without some of them.
LLVM = ["clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-readelf", "llvm-strip"]
# Headers of what a kernel's own tools ask for, and the Debian package that brings them.
HEADERS = {"gelf.h": "libelf-dev", "libelf.h": "libelf-dev", "zlib.h": "zlib1g-dev", "openssl/": "libssl-dev"}
NO_HEADER = re.compile(r"fatal error: '?([\w./-]+\.h)'?(?:: No such file| file not found)")
OPTION = re.compile(r"^(?:# )?(CONFIG_\w+)(?:=(.*)| is not set)$", re.MULTILINE)
# What make and compilers say where memory or the disk is at its end.
SHORT = re.compile(r"^.*(?:No space left on device|Disk quota exceeded|Read-only file system|Cannot allocate memory"
                   r"|virtual memory exhausted|Killed signal terminated program"
                   r"|\*\*\* \[.*\] (?:Killed|Error 137)\b).*$", re.MULTILINE)


def build(tree: str, fragment: str | None, llvm: str | None, lab: str, cache: str, log: str,
          progress: Callable[[str, float], None]) -> Kernel:
    """llvm: what LLVM= is given (1, a suffix as -19, or a folder as /opt/llvm/bin/), None for gcc.

    log: the file that make's output goes to.
    """
    tree = os.path.realpath(tree)
    if not os.path.isfile(tree + "/arch/arm64/kvm/arm.c") or not os.path.isfile(tree + "/Makefile"):
        raise Usage(f"{tree} is no kernel tree with KVM for arm64 (5.7 or newer)")
    if os.path.exists(tree + "/.config"):
        raise Usage(f"{tree} has been built in place, and make refuses to build beside that: make mrproper there, "
                    "or take a `git worktree add`")
    need("make", "setpriv", "flex", "bison", "bc", "pahole")
    if llvm is None:
        need("gcc", "aarch64-linux-gnu-gcc")
        compiler = ["CROSS_COMPILE=aarch64-linux-gnu-"]
    else:
        suffix = llvm if llvm.startswith("-") else ""
        if llvm.endswith("/"):
            absent = [program for program in LLVM if shutil.which(llvm + program) is None]
            if absent:
                raise Usage(f"{llvm} has no {', '.join(absent)}")
        else:
            need(*(program + suffix for program in LLVM))
        compiler = ["LLVM=" + llvm]
    name = hashlib.sha256(f"{tree}\0{llvm}".encode()).hexdigest()[:12]
    out = os.path.join(cache, "build-" + name)
    os.makedirs(out, exist_ok=True)
    lock = os.open(out + "/check-kernel.lock", os.O_CREAT | os.O_WRONLY)  # until this program ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Usage(f"another check-kernel builds {tree} at this moment") from error
    # Whatever becomes of this program, make does not go on alone; it ends its compilers.
    make = ["setpriv", "--pdeathsig", "TERM", "--", "make", "-C", tree, "O=" + out, "ARCH=arm64", *compiler]
    environment = dict(os.environ, KBUILD_BUILD_USER="lab", KBUILD_BUILD_HOST="lab")
    # A finding's place is a path in the tree, wherever the tree lies.
    for flags in ("KCFLAGS", "KAFLAGS"):
        environment[flags] = f"{os.environ.get(flags, '')} -ffile-prefix-map={tree}/=".strip()
    with open(log, "wb") as file:
        def run(*words: str) -> None:
            # In a group of its own, so that an interrupt ends its compilers too.
            maker = subprocess.Popen([*make, *words], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                                     env=environment, start_new_session=True)
            try:
                code = maker.wait()
            except BaseException:
                os.killpg(maker.pid, signal.SIGTERM)
                maker.wait()
                raise
            if code != 0:
                _blame_this_machine(code, log)
                raise Unbootable(f"{tree} does not build\n" + _end(log))

        progress("building the kernel", 0)
        configuration = _configuration(fragment, lab)
        chosen = out + "/check-kernel.config"
        with open(chosen, "w") as text:
            text.write(configuration)
        # Each time from nothing: what one revision lacks is on again in the next. What stays as it was is not touched.
        run("KCONFIG_ALLCONFIG=" + chosen, "allnoconfig")
        refused = _refused(configuration, out + "/.config")
        run(f"-j{os.cpu_count() or 1}", "Image")
    return Kernel(os.path.basename(tree), out + "/arch/arm64/boot/Image", out + "/vmlinux", None, refused)


def _configuration(fragment: str | None, lab: str) -> str:
    text = ""
    for path in [lab + "/kernel/lab.config", *([fragment] if fragment else [])]:
        try:
            with open(path) as file:
                text += file.read()
        except OSError as error:
            raise Usage(f"{path}: {error.strerror}") from error
    return text


def _refused(wanted: str, config: str) -> list[str]:
    """Options that did not take: this revision has none of that name, or something that they ask for is off."""
    with open(config) as file:
        there = dict(OPTION.findall(file.read()))
    return [f"{name}={value or 'n'}" for name, value in dict(OPTION.findall(wanted)).items()
            if there.get(name, "") != value]


def _blame_this_machine(code: int, log: str) -> None:
    """Raises Missing if the build ended at what this machine lacks: no revision is to blame."""
    with open(log, errors="replace") as file:
        said = file.read()
    if code < 0:
        raise Missing(f"make was killed by signal {-code}: {_end(log)}")
    short = SHORT.search(said)
    if short:
        raise Missing(f"this machine cannot go on with the build: {short[0].strip()}")
    absent = set(NO_HEADER.findall(said))
    packages = sorted({package for begin, package in HEADERS.items() for name in absent if name.startswith(begin)})
    if packages:
        raise Missing(f"{', '.join(sorted(absent))} not found: apt-get install {' '.join(packages)}")


def _end(log: str) -> str:
    with open(log, errors="replace") as file:
        lines = file.read().splitlines()
    told = [line for line in lines if "error" in line.lower()]
    return "\n".join((told or lines)[-LAST_LINES:])
