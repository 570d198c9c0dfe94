"""What the console of a kernel that went down says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

LAST_LINES = 40


@dataclass(frozen=True)
class Fall:
    """words: one sentence. authentication: the kernel went down because a pointer did not authenticate."""

    words: str
    authentication: bool


def last_lines(console: str) -> list[str]:
    return [line.rstrip() for line in console.splitlines() if line.strip()][-LAST_LINES:]


# Where FEAT_FPAC is there, a failed authentication is an exception of its own (EC 0x1c).
FPAC = re.compile(r"Internal error: Oops - FPAC|ptrauth (?:fault|authentication failure)|EC = 0x1c\b", re.IGNORECASE)
# Where it is not, the pointer gets an error code (key A 01, key B 10) in bits 62:61, or 54:53 if the top byte is
# ignored, and the branch to it faults.
POISONED = re.compile(r"at virtual address ((?:(?:bf|df)ff|ff(?:bf|df))[0-9a-f]{12})\b", re.IGNORECASE)
FETCH = re.compile(r"EC = 0x21\b|IABT \(current EL\)|Internal error: Oops: 86|kernel paging request.*instruction",
                   re.IGNORECASE)
PANIC = re.compile(r"Kernel panic - not syncing: (.*)|(HYP panic:.*)")
OOPS = re.compile(r"Internal error: (.*)|(Unable to handle kernel .*)|(kernel BUG at .*)")


def fall(console: str) -> Fall | None:
    """None: neither a panic nor an oops."""
    panic = PANIC.search(console)
    oops = OOPS.search(console)
    if panic is None and oops is None:
        return None
    said = next(group for match in (panic, oops) if match for group in match.groups() if group)
    if FPAC.search(console):
        return Fall("a pointer failed to authenticate in the host kernel, as where its keys are not its own: "
                    f"{said.strip()}", True)
    poisoned = POISONED.search(console)
    if poisoned and FETCH.search(console):
        return Fall("the host kernel branched to a pointer that had failed to authenticate "
                    f"({poisoned[1]}), as where its keys are not its own: {said.strip()}", True)
    return Fall(said.strip(), False)
