"""A log of what an emulated CPU did (README.md has its format), and the runs of vCPUs in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from emulation.trouble import Missing, need

API, APK = 1 << 41, 1 << 40
BOTH = API | APK
COUNT = 16  # nanoseconds of a count
Fields = dict[str, str]
Bits = tuple[int, int]


def read(path: str) -> Iterator[Fields]:
    """The fields of each whole line, `ev` and `cpu` among them. The last line may be cut where the emulator was killed."""
    if path.endswith(".zst"):
        need("zstd")
        with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE, text=True, errors="replace") as source:
            assert source.stdout is not None
            yield from _lines(source.stdout)
        if source.returncode != 0:
            raise Missing(f"{path}: zstd cannot read it")
        return
    with open(path, errors="replace") as file:
        yield from _lines(file)


def _lines(source: Iterator[str]) -> Iterator[Fields]:
    for line in source:
        words = line.split()
        if line[-1] != "\n" or len(words) < 6 or not words[-1].startswith("k="):
            continue
        yield dict(word.split("=", 1) for word in words[1:])


def bits(hcr: int) -> Bits:
    return hcr >> 41 & 1, hcr >> 40 & 1


@dataclass(slots=True)
class Run:
    """From a vCPU's __guest_enter to its next handle_exit or put: the bits of the first entry and of the last exit."""

    time: int  # nanoseconds of the log's counter
    entry: Bits
    exit: Bits


class Runs:
    """Fed the lines in order; by struct kvm_vcpu, in order of time."""

    def __init__(self) -> None:
        self.of: dict[int, list[Run]] = {}
        self._open: dict[int, Run] = {}
        self._on_cpu: dict[str, int] = {}

    def consume(self, line: Fields) -> None:
        event = line["ev"]
        if event == "__guest_enter":
            vcpu = int(line["x0"], 16)
            live = bits(int(line["hcr"], 16))
            self._on_cpu[line["cpu"]] = vcpu
            run = self._open.get(vcpu)
            if run is None:
                run = self._open[vcpu] = Run(int(line["cnt"]) * COUNT, live, live)
                self.of.setdefault(vcpu, []).append(run)
            run.exit = live
        elif event == "EXIT":
            current = self._open.get(self._on_cpu.get(line["cpu"], -1))
            if current is not None:
                current.exit = bits(int(line["hcr"], 16))
        elif event in ("handle_exit", "kvm_arch_vcpu_put"):
            self._open.pop(int(line["x0"], 16), None)
