"""The emulated host: QEMU's machine with EL2, VHE and pointer authentication, and what its console says."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .trouble import Missing, need

OLDEST_QEMU = (7, 1)
PANIC = "Kernel panic - not syncing"
LAST_WORDS = 5.0  # seconds that a kernel is left to say why it panicked
MARKS = ("up", "no-folder", "no-kvm", "no-kprobes", "recording", "recorded", "done")
MARK = re.compile(rf"^LAB: ({'|'.join(MARKS)})(?![\w-])", re.MULTILINE)
PRINTK = re.compile(r"(?<!\n)(?:\[ *\d+\.\d{6}\](?:\[[^\]\n]*\])? [^\n]*\n)+")  # behind the begin of a line
QEMU = "qemu-system-aarch64"


def check_qemu(qemu: str = QEMU) -> str:
    """QEMU's version. Raises Missing if it is too old, or built without what the host needs."""
    need(qemu, "setpriv")
    text = _say(qemu, "--version")
    version = re.search(r"version (\d+)\.(\d+)", text)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_QEMU:
        raise Missing(f"QEMU {OLDEST_QEMU[0]}.{OLDEST_QEMU[1]} or newer is needed, this is {text.strip() or 'none'}: "
                      "apt-get install qemu-system-arm (of Debian 12 or newer)")
    if "virtio-9p-device" not in _say(qemu, "-M", "virt", "-device", "help"):
        raise Missing("this QEMU shares no folders (built without --enable-virtfs): apt-get install qemu-system-arm")
    return f"{version[1]}.{version[2]}"


def _say(qemu: str, *words: str) -> str:
    return subprocess.run([qemu, *words], check=False, capture_output=True, text=True).stdout


@dataclass
class Outcome:
    """How far the host came. Marks begin lines of its init: "LAB: up" and so on, seconds since the start."""

    marks: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    hung: bool = False
    console: str = ""

    def reached(self, mark: str) -> bool:
        return mark in self.marks


def command(image: str, initrd: str, share: str, arguments: str, pcpus: int, qemu: str = QEMU) -> list[str]:
    # Whatever becomes of who starts it, it does not go on alone.
    return [
        "setpriv", "--pdeathsig", "KILL", "--",
        qemu, "-nodefaults", "-nographic", "-no-reboot",
        "-M", "virt,virtualization=on,gic-version=3", "-cpu", "max,pauth-impdef=on,sve=off,sme=off",
        "-smp", str(pcpus), "-m", "1536", "-accel", "tcg,thread=multi", "-kernel", image, "-initrd", initrd,
        "-append", "console=ttyAMA0 earlycon nokaslr rdinit=/init panic=-1 oops=panic " + arguments,
        "-serial", "stdio", "-monitor", "none",
        "-fsdev", f"local,id=o,path={share},security_model=none",
        "-device", "virtio-9p-device,fsdev=o,mount_tag=out",
    ]


def boot(words: list[str], console: str, up_within: float, done_within: float,
         progress: Callable[[str, float], None], environment: dict[str, str] | None = None) -> Outcome:
    """Runs the host until it powers off, or has not come up, or not come to its end, in time (seconds).

    console: the file that its serial port writes to. The host is gone when this returns or raises.
    Raises Missing where the emulator itself failed.
    """
    outcome = Outcome()
    begin = time.monotonic()
    panicked = 0.0
    with open(console, "wb") as file:
        machine = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                                   start_new_session=True, env=os.environ | (environment or {}))
        try:
            while machine.poll() is None:
                time.sleep(0.1)
                outcome.seconds = time.monotonic() - begin
                _look(console, outcome)
                if PANIC in outcome.console:
                    panicked = panicked or outcome.seconds
                    if outcome.seconds > panicked + LAST_WORDS:
                        break
                limit = done_within if outcome.reached("up") else up_within
                if outcome.seconds > limit:
                    outcome.hung = True
                    break
                progress("recording" if outcome.reached("recording") else "booting", outcome.seconds)
        finally:
            stopped = machine.poll() is None
            if stopped:
                machine.kill()
            machine.wait()
    outcome.seconds = time.monotonic() - begin
    _look(console, outcome)
    if not stopped and machine.returncode != 0 and not outcome.reached("done"):
        raise Missing(_last_words(machine.returncode, outcome.console))
    return outcome


def _last_words(code: int, said: str) -> str:
    """Of an emulator that did not end by itself: whatever its kernel does, a panic too, it ends with 0."""
    how = f"was killed by signal {-code} (too little memory?)" if code < 0 else f"ended with {code}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"QEMU {how}; the last on its console: {'; '.join(lines[-3:]) or 'nothing'}"


def _look(console: str, outcome: Outcome) -> None:
    with open(console, "rb") as file:
        outcome.console = file.read().decode(errors="replace").replace("\r", "")
    # What the kernel says may fall behind a mark, and into one.
    for text in (outcome.console, PRINTK.sub("", outcome.console)):
        for mark in MARK.findall(text):
            outcome.marks.setdefault(mark, outcome.seconds)
