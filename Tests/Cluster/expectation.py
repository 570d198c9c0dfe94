"""What is held to be so, with the seconds since the beginning."""

import time

START = time.monotonic()


def expect(truth: bool, words: str) -> None:
    if not truth:
        raise SystemExit(f"not so: {words}")
    print(f"ok {time.monotonic() - START:6.1f} s  {words}", flush=True)
