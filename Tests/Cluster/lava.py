"""What lava-list makes of what a lab says of a job. Without Spark."""

import json
import subprocess
import sys
from pathlib import Path

from engines import FLEET
from expectation import expect

A, B = "https://h/1/a.data", "https://h/2/b.data"
# What is said, and the board of each recording that is listed.
SAID: dict[str, tuple[object, dict[str, str | None]]] = {
    "a type is better than a device, whatever comes first": ({"device": "rpi4-03", "data": {"device_type": "rpi4"}, "url": A}, {A: "rpi4"}),
    "and a platform": ({"data": {"device": "rpi4-03", "platform": "bcm2711"}, "artifacts": {"perf": A}}, {A: "bcm2711"}),
    "two jobs": ([{"device_type": "a", "url": A}, {"device_type": "b", "url": B}], {A: "a", B: "b"}),
    "two jobs by their numbers": ({"1": {"device_type": "a", "url": A}, "2": {"device_type": "b", "url": B}}, {A: "a", B: "b"}),
    "of one the device alone is known": ([{"device": "a-1", "url": A}, {"device_type": "b", "url": B}], {A: "a-1", B: "b"}),
    "of one nothing is": ({"jobs": [{"device_type": "a", "url": A}, {"device_type": "b"}, {"url": B}]}, {A: "a", B: None}),
    "results of one job": ([{"metadata": {"device_type": "a"}}, {"url": A}], {A: "a"}),
    "a job's input is not its own": ({"input": {"base": B, "device_type": "b"}, "platform": "a", "artifacts": [A]}, {A: "a"}),
    "nor by a dotted name": ({"input.base": B, "artifacts": [A]}, {A: None}),
}


def listed(work: Path, document: object) -> tuple[str, str]:
    path = work / "job.json"
    path.write_text(json.dumps(document))
    ran = subprocess.run([sys.executable, FLEET / "lava-list", path, "night=3"], capture_output=True, text=True, check=False)
    return ran.stdout, ran.stderr


def hold(work: Path) -> None:
    for name, (document, boards) in SAID.items():
        said, left_out = listed(work, document)
        lines = ["\t".join([path, "night=3", *([f"board={board}"] if board else [])]) for path, board in boards.items()]
        expect(said.splitlines() == lines, f"of a lab: {name}")
        expect(("given to the job, and none of its own: 1" in left_out) == ("input" in json.dumps(document)), "what is left out is said")
    said, left_out = listed(work, [A, "https://h/dl?name=b.data&sig=secret", "https://h/dl?path=x/c.dat.xz"])
    expect(said == f"{A}\tnight=3\n" and "query of a URL alone: 2, as 'https://h/dl'" in left_out and "secret" not in left_out,
           f"so is what a query names: {left_out.strip()}")
