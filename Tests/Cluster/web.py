"""A web server that holds a folder, and does what servers do: by the names of what it is asked for."""

import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

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
        if "slow-headers" in self.path:
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


def hold(work: Path) -> None:
    """What comes of each, without Spark."""
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
