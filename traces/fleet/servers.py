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


# What signs a URL or lets one in, and names no object: of Amazon, Google, CloudFront, Azure, GitLab and others.
SIGNS = re.compile(r"x-(amz|goog)-.*|(access_|private_|job_)?token|key-pair-id|awsaccesskeyid|googleaccessid|sig(nature)?", re.IGNORECASE)
# These only beside a signature: alone they may name one.
SIGNED = {"signature": re.compile("expires|policy", re.IGNORECASE),
          "sig": re.compile(r"s[verpti]|ss|sip|srt|spr|sdd|scid|sk([etsv]|oid|tid)|saoid|suoid|rsc[cdelt]", re.IGNORECASE)}


class NotFetched(Exception):
    """Why; `lasting`: another time it would be the same."""

    def __init__(self, why: str, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


def unsigned(url: str) -> str:
    """What tables call it: a signature is another in every list, and not for all who read tables."""
    place, mark, query = url.partition("?")
    query, hash_sign, fragment = query.partition("#")
    facts = [(fact.partition("=")[0], fact) for fact in query.split("&")]
    beside = [words for name, words in SIGNED.items() if any(name == other.lower() for other, _ in facts)]
    kept = "&".join(fact for name, fact in facts if not any(words.fullmatch(name) for words in [SIGNS, *beside]))
    return place + (mark if kept or not query else "") + kept + hash_sign + fragment


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
    """As Spark has times: of this machine. A server that knows none may say the first moment that its language has."""
    said = answer.headers.get("Last-Modified") or ""
    try:
        time = parsedate_to_datetime(said)
        # Python takes year 0001 for 2001.
        return None if time.timestamp() <= 0 or re.search(r"\b00\d\d \d\d:", said) else time.astimezone().replace(tzinfo=None)
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
