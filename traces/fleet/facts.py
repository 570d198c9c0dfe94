"""What is known of a recording before it is read."""

import os
from datetime import datetime
from typing import NamedTuple

NOT_THERE = "is named in the list, and is not there"


class Facts(NamedTuple):
    """Its length, 0 where a server says none, and the time of its last change, where that is known; or why it cannot be had."""

    length: int | None
    modified: datetime | None
    absent: str | None = None


def absent(why: str) -> Facts:
    return Facts(None, None, why)


def time(milliseconds: int) -> datetime | None:
    """As Spark has times: of this machine."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000)
    except (ValueError, OverflowError, OSError):
        return None


def time_of(status: os.stat_result) -> datetime | None:
    return time(status.st_mtime_ns // 1_000_000)
