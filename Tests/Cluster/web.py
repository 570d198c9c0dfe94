"""A web server that holds a folder, and does what servers do: by the names of what it is asked for."""

import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import limits  # Finds the modules of the job.
import servers
from expectation import expect
from facts import NOT_THERE


class Asked(SimpleHTTPRequestHandler):
    """Says nothing of what it is asked."""

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        if "signed" in self.path:
            self.send_error(403)
        else:
            super().do_HEAD()

    def do_GET(self) -> None:
        if "busy" in self.path and (Path(self.directory) / "busy").exists():
            self.send_error(503)
        elif "slow-headers" in self.path:
            self.drip(b"HTTP/1.0 200 OK\r\nX: ")
        elif "drip" in self.path:
            self.drip(b"HTTP/1.0 200 OK\r\n\r\n")
        elif "cut" in self.path or "huge" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", str(3 << 30 if "huge" in self.path else 1000))
            self.end_headers()
            self.wfile.write(b"PERFILE2")
        else:
            super().do_GET()

    def drip(self, start: bytes) -> None:
        self.wfile.write(start)
        for _ in range(20):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.5)


class Said:
    """An answer with one header."""

    def __init__(self, time: str) -> None:
        self.headers = {"Last-Modified": time}


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Who asked may go before the answer ends."""


class Web:
    def __init__(self, folder: Path) -> None:
        self.server = Server(("127.0.0.1", 0), partial(Asked, directory=str(folder)))
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


# Without a signature these are one.
SIGNED = ["X-Amz-Signature=1&X-Amz-Date=2&X-Amz-Expires=3", "x-goog-signature=1&X-Goog-Date=2", "Expires=1&Signature=2&Key-Pair-Id=3&Policy=4",
          "AWSAccessKeyId=1&Expires=2&Signature=3", "sv=1&st=2&se=3&sr=b&sp=r&sig=4&skoid=5&spr=https", "token=1", "private_token=2"]


def names() -> None:
    """What tables call a URL."""
    for url in ("https://h/a.data", "https://h/a.data?versionId=1", "https://h/get?sp=1&expires=never&se=3", "https://h/a.data?", "https://h/a.data?a=b?c"):
        expect(servers.unsigned(url) == url, f"{url} has no signature")
        for query in SIGNED[:2] + SIGNED[5:] if "get" in url else SIGNED if url[-1] != "?" else []:
            mark = "&" if "?" in url else "?"
            if servers.unsigned(f"{url}{mark}{query}") != url:
                raise SystemExit(f"not so: {servers.unsigned(f'{url}{mark}{query}')} is {url}")
    expect(servers.unsigned("https://h/a.data?token=1&part=2#x") == "https://h/a.data?part=2#x", "a signature is in no table")
    for word, year in [("Sat, 28 Nov 2026 10:00:00 GMT", 2026), ("Mon, 01 Jan 0001 00:00:00 GMT", None), ("Sun, 28 Nov 1965 10:00:00 GMT", None),
                       ("Thu, 01 Jan 1970 00:00:00 GMT", None), ("Saturday, 28-Nov-26 10:00:00 GMT", 2026), ("", None), ("yesterday", None)]:
        answer: Any = Said(word)
        known = servers.changed(answer)
        expect((known.year if known else None) == year, f"Last-Modified: {word} is {year}")


def hold(work: Path) -> None:
    """What comes of each, without Spark."""
    names()
    folder = work / "web"
    folder.mkdir()
    for name in ("plain.data", "signed.data"):
        (folder / name).write_bytes(limits.SOURCE.read_bytes())
    web = Web(folder)
    size = limits.SOURCE.stat().st_size
    expect(servers.ask(f"{web.address}/plain.data").length == servers.ask(f"{web.address}/signed.data?X=1").length == size,
           "what is signed for GET is there")
    expect(servers.ask(f"{web.address}/signed-gone.data").absent == NOT_THERE, "what is not there has no answer to GET either")
    for name, expected, why in [
            ("plain.data", size, None), ("plain.data", 0, None), ("cut.data", 0, "was cut: 8 of 1000 bytes came"),
            ("huge.data", 0, "has more than 2 GB, which is the most that is fetched"),
            ("drip.data", 0, "did not come within 2 s, which is what --seconds allows"),
            ("slow-headers.data", 0, "did not come within 2 s, which is what --seconds allows"),
            ("gone.data?key=secret", 0, "could not be fetched: HTTP Error 404: File not found")]:
        said = None
        try:
            servers.fetch(f"{web.address}/{name}", work / "fetched", 60 if why is None else 2, expected)
        except servers.NotFetched as error:
            said = str(error)
        expect(said == why, f"{name}: {said or 'all of it came'}")
    web.stop()
    away = servers.ask(f"{web.address}/plain.data?key=secret").absent or ""
    expect(away.startswith("could not be looked up: ") and "secret" not in away, f"a server that is away is said: {away}")
