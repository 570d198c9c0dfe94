"""What runs on the emulated host while it is recorded: VMMs, of which each says how its guests fared."""

from __future__ import annotations

import re
from dataclasses import dataclass

ROUND = 5.0  # seconds
ARRIVALS = "--features yes --machines 1 --vcpus 2 --life 500 --activity sign,write,read,mmio,hvc,kernel"


def script(seed: int, seconds: float, own: list[str]) -> str:
    """The shell script of the workload. own: options of vmm, one process each, instead of the usual ones."""
    lines = []
    rounds = max(1, round(seconds / ROUND))
    for number in range(rounds):
        common = f"--seconds {seconds / rounds:g} --seed"
        base = (seed * 1000 + number) * 10
        chosen = own or [
            # What every rule asks for, whatever the seed adds.
            ("--features yes --machines 1 --vcpus 3 --life 0 --reset 40 --move 1500"
             " --activity sign,generic,write,read,mmio,hvc,identity"),
            # Threads that sleep and move, and stay in the kernel: what they save is known to be theirs.
            ("--features yes --machines 1 --vcpus 3 --life 0 --pause 0 --move 4000"
             " --activity sign,write,read,hvc,wait"),
            "--features no --machines 1 --vcpus 1" if number % 3 == 0 else "--machines 1",
            # Guests that arrive from elsewhere.
            ARRIVALS,
        ]
        for place, options in enumerate(chosen):
            name = f"{number}.{place}"
            lines.append(f"( vmm {common} {base + place} {options} > /out/vmm.{name}.txt 2>&1; "
                         f"echo $? > /out/vmm.{name}.status ) &")
        lines.append("wait")
    return "\n".join(lines) + "\n"


@dataclass
class Count:
    """Over all vCPUs of all VMMs."""

    vcpus: int = 0
    rounds: int = 0
    refused: int = 0  # of vCPUs with the feature
    failed: int = 0
    changed: int = 0
    lost: int = 0

    @property
    def wrong(self) -> list[str]:
        said = [
            (self.failed, "pointers of guests failed to authenticate"),
            (self.changed, "times a guest found keys that it had not written"),
            (self.refused, "instructions were undefined in guests with the feature"),
            (self.lost, "times a thread of a VMM came back from its guest with other keys"),
        ]
        return [f"{number} {words}" for number, words in said if number]


def count(texts: list[str]) -> Count:
    total = Count()
    for line in "\n".join(texts).splitlines():
        pairs = dict(re.findall(r"([a-z]+)=(\w+)", line))
        if not line.startswith("vm ") or "rounds" not in pairs:
            continue
        total.vcpus += 1
        total.rounds += int(pairs["rounds"])
        total.lost += int(pairs["lost"])
        if pairs["feature"] == "1":
            total.refused += int(pairs["refused"])
            total.failed += int(pairs["failed"])
            total.changed += int(pairs["changed"])
    return total
