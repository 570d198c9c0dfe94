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
    expect(lengths == {"raw/text": 4, "tracing": 3, "perf.data.dir": 8, "perf.data.dir/other.data": 4, "a.data": whole, "\u00fc.data": whole,
                       r"na\xefme.data": None, "fifo.data": None, "dangling.data": None}, "a folder's recordings have a row each, and folders that are one have one")
    reasons = " ".join(str(facts.absent) for facts in rows.values() if facts.absent)
    expect(all(word in reasons for word in ("is not UTF-8", "a pipe", "is a link to what is not there")), "what cannot be read says why")
    left_out = [[os.path.basename(path) for path in paths] for paths in (tree.links, tree.twice, tree.hidden)]
    expect(left_out == [["again"], ["latest.data"], [".hidden.data"]], "links to folders, second names and hidden ones are known")
    expect("no recording" in str(look(str(top)).absent) and look(str(buffers)).length == 4, "in a list a folder is one recording, or none")
