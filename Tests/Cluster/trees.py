"""A folder with all that a lab's may have: what of it has a row, and what is said of the rest. Without Spark."""

import os
from pathlib import Path

import limits  # Finds the modules of the job.
from expectation import expect
from folders import Tree, look


def hold(work: Path) -> None:
    top = work / "tree"
    buffers = top / "raw" / "text"
    (buffers / "events").mkdir(parents=True)
    (buffers / "events" / "header_page").touch()
    for name in ("cpu0.trace_pipe_raw", "cpu1.trace_pipe_raw", "trace_clock", "cpu0.stats"):
        (buffers / name).write_bytes(b"12")
    (top / "tracing" / "per_cpu" / "cpu0").mkdir(parents=True)
    (top / "tracing" / "per_cpu" / "cpu0" / "trace_pipe_raw").write_bytes(b"123")
    (top / "perf.data.dir").mkdir()
    for name in ("data", "data.0", "other.data"):
        (top / "perf.data.dir" / name).write_bytes(b"1234")
    for name in ("a.data", "\u00fc.data", ".hidden.data", "vmlinux"):
        (top / name).write_bytes(limits.SOURCE.read_bytes())
    for name in ("tracing/per_cpu/cpu0", "raw/text/events/kvm", "perf.data.dir/kcore_dir"):
        (top / name).mkdir(exist_ok=True, parents=True)
        for file in ("inner.data", "format"):
            (top / name / file).write_bytes(b"12345")
    (top / "runs").mkdir()
    for name, start in [("run.cpu0", b"PERFILE2"), ("run.cpu1", b"\x17\x08Dtracing")]:
        (top / "runs" / name).write_bytes(start)
    (top / "broken").mkdir()
    (top / "broken" / "data").symlink_to("/nonexistent")
    with open(os.fsencode(top) + b"/na\xefme.data", "wb"):
        pass
    os.mkfifo(top / "fifo.data")
    (top / "again").symlink_to(".")
    (top / "latest.data").symlink_to("a.data")
    (top / "dangling.data").symlink_to("/nonexistent")
    tree = Tree(str(top))
    rows = dict(tree.rows())
    lengths = {path.removeprefix(f"{top}/"): facts.length for path, facts in rows.items()}
    whole = limits.SOURCE.stat().st_size
    expect(lengths == {"raw/text": 4, "tracing": 3, "perf.data.dir": 8, "perf.data.dir/other.data": 4, "tracing/per_cpu/cpu0/inner.data": 5,
                       "raw/text/events/kvm/inner.data": 5, "perf.data.dir/kcore_dir/inner.data": 5, "runs/run.cpu0": 8, "runs/run.cpu1": 10,
                       "broken": None, "a.data": whole, "\u00fc.data": whole,
                       r"na\xefme.data": None, "fifo.data": None, "dangling.data": None}, "a folder's recordings have a row each, and folders that are one have one")
    reasons = " ".join(str(facts.absent) for facts in rows.values() if facts.absent)
    expect("in the list" not in reasons, "of no list is said anything")
    expect(all(word in reasons for word in ("is not UTF-8", "a pipe", "is a link to what is not there", "a part of it is a link")), "what cannot be read says why")
    left_out = [[os.path.basename(path) for path in paths] for paths in (tree.links, tree.twice, tree.hidden)]
    expect(left_out == [["again"], ["latest.data"], [".hidden.data"]], "links to folders, second names and hidden ones are known")
    expect("no recording" in str(look(str(top)).absent) and look(str(buffers)).length == 4, "in a list a folder is one recording, or none")
