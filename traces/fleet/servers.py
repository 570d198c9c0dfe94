"""Recordings that a web server has, as artifacts of LAVA and KernelCI. Hadoop opens these and does not list them, so Spark
does not read them: executors do."""

import re
import shutil
import urllib.request
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path

URLS = ("http://", "https://")
# Seconds that a server may be silent.
SILENCE = 60


def name(url: str) -> str:
    """Of a file for it: without what a signed one has behind the path, which no report should show."""
    last = re.split("[?#]", url)[0].rsplit("/", 1)[1][-100:]
    return last if last.strip(".") else "recording"


def ask(url: str) -> tuple[int, datetime] | None:
    """Its length and the time of its last change, as Spark has times: of this machine; the same for ever where it says none."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=SILENCE) as answer:
            changed = answer.headers.get("Last-Modified")
            when = parsedate_to_datetime(changed).astimezone().replace(tzinfo=None) if changed else datetime.fromtimestamp(0)
            return int(answer.headers.get("Content-Length") or 0), when
    except (OSError, ValueError, HTTPException):
        return None


def fetch(url: str, place: Path) -> str | None:
    """Puts it into a file; why it did not come."""
    try:
        with urllib.request.urlopen(url, timeout=SILENCE) as answer, open(place, "wb") as file:
            shutil.copyfileobj(answer, file)
    except (OSError, ValueError, HTTPException) as error:
        return str(error)
    return None
