"""What the job asks its program before it begins. Without Spark."""

import argparse
from pathlib import Path

import limits  # noqa: F401 (finds the modules of the job)
from expectation import expect
from fleet import compare, program, refuse
from listing import NoInput, literal


def hold(command: str, work: Path) -> None:
    link = work / "link" / "ptrauth-trace"
    link.parent.mkdir()
    link.symlink_to(command)
    expect(program(str(link)) == command, "of a link Spark ships what it leads to, and executors ask for that")
    for by, require, word in [("kernel", None, None), ("label:board,kernel", "critical,all", None), ("kernel,nonsense", None, "--by kernel,nonsense"),
                              ("kernel", "nonsense", "no rule is named nonsense")]:
        said = None
        try:
            refuse(argparse.Namespace(program=command, by=by, require=require))
        except NoInput as error:
            said = str(error)
        expect(said is None if word is None else word in (said or ""), f"--by {by} --require {require}: {said or 'is taken'}")
    said = ""
    try:
        compare(2, 2, "out")
        compare(2, 0, "out")
    except RuntimeError as error:
        said = str(error)
    expect(said == "2 rows were written, and of them 0 are in out", f"what is not read back ends the job: {said}")
    expect(literal(r"a[1]{b}*?\c") == r"a\[1\]\{b\}\*\?\\c", "a path is no pattern")
