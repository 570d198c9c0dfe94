"""Recordings that a web server has, as artifacts of LAVA and KernelCI. Hadoop opens these and does not list them, so Spark
does not read them: executors do."""

import re
import time
import urllib.request
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError

from facts import NOT_THERE, Facts, absent

URLS = ("http://", "https://")
# Seconds that a server may be silent.
SILENCE = 60
# Bytes of a recording that are fetched at most: Spark's end as well.
MOST = 2 << 30
FAILURES = (OSError, ValueError, HTTPException)
NO_ROOM = f"has more than {MOST >> 30} GB, which is the most that is fetched"


class NotFetched(Exception):
    """Why; `lasting`: another time it would be the same."""

    def __init__(self, why: str, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


def name(url: str) -> str:
    """Of a file for it: without what a signed one has behind the path, which no report should show."""
    last = re.split("[?#]", url)[0].rsplit("/", 1)[1][-100:]
    return last if last.strip(".") else "recording"


def ask(url: str) -> Facts:
    """What its server says of it. One that has no answer to HEAD (as to a URL that is signed for GET) is asked for a byte."""
    why = ""
    for method, headers in [("HEAD", {}), ("GET", {"Range": "bytes=0-0"})]:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=SILENCE) as answer:
                return Facts(length(answer), changed(answer))
        except HTTPError as error:
            if error.code == 416:
                return Facts(0, None)
            why = NOT_THERE if error.code in (404, 410) else f"could not be looked up: {error}"
        except FAILURES as error:
            return absent(f"could not be looked up: {said(error)}")
    return absent(why)


def length(answer: HTTPResponse) -> int:
    of_a_byte = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range") or "")
    given = of_a_byte[1] if of_a_byte else answer.headers.get("Content-Length") or ""
    # A partial answer has the length of its part.
    return int(given) if re.fullmatch(r"\d{1,18}", given) and (of_a_byte or answer.status == 200) else 0


def changed(answer: HTTPResponse) -> datetime | None:
    """As Spark has times: of this machine."""
    try:
        return parsedate_to_datetime(answer.headers.get("Last-Modified") or "").astimezone().replace(tzinfo=None)
    except (ValueError, TypeError, OverflowError):
        return None


def fetch(url: str, place: Path, seconds: int, expected: int) -> None:
    """Puts all of it into a file."""
    ends: list[NotFetched | None] = []
    # A server that drips its headers is no end to wait for.
    thread = Thread(target=lambda: ends.append(download(url, place, seconds, expected)), daemon=True)
    thread.start()
    thread.join(seconds)
    end = ends[0] if ends else too_slow(seconds)
    if end:
        raise end


def download(url: str, place: Path, seconds: int, expected: int) -> NotFetched | None:
    end, came = time.monotonic() + seconds, 0
    try:
        with urllib.request.urlopen(url, timeout=min(SILENCE, seconds)) as answer, open(place, "wb") as file:
            whole = answer.length if answer.length is not None else expected
            if whole > MOST:
                return NotFetched(NO_ROOM, lasting=True)
            while time.monotonic() < end and (piece := answer.read1(1 << 20)):
                came += len(piece)
                if came > MOST:
                    return NotFetched(NO_ROOM, lasting=True)
                file.write(piece)
            if time.monotonic() >= end:
                return too_slow(seconds)
            return NotFetched(f"was cut: {came} of {whole} bytes came") if came < whole else None
    except FAILURES as error:
        return NotFetched(f"could not be fetched: {said(error)}")


def too_slow(seconds: int) -> NotFetched:
    return NotFetched(f"did not come within {seconds} s, which is what --seconds allows")


def said(error: Exception) -> str:
    """Without the URL, which may have a signature."""
    return "this is no URL" if isinstance(error, InvalidURL) or type(error) is ValueError else str(error) or type(error).__name__
