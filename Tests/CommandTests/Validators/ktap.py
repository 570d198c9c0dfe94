"""Reads KTAP with the kernel's own kunit_parser, and prints what it understood.

A line is SUITE, CASE, STATUS, by tabs; a suite's own line has no CASE. Exits with 1 if the parser
complains.
"""

import contextlib
import io
import os
import sys

sys.path.insert(0, os.path.join(os.environ["PTRAUTH_TRACE_CACHE"], "kunit"))
import kunit_parser  # noqa: E402

talk = io.StringIO()
with open(sys.argv[1], encoding="utf-8") as lines, contextlib.redirect_stdout(talk):
    # The parser's printer holds on to the stream it was made with.
    kunit_parser.stdout._output = talk
    main = kunit_parser.parse_run_tests(line.rstrip("\n") for line in lines)
for suite in main.subtests:
    for case in suite.subtests:
        print(suite.name, case.name, case.status.name, sep="\t")
    print(suite.name, "", suite.status.name, sep="\t")
print("", "", main.status.name, sep="\t")
if main.counts.errors:
    print(talk.getvalue(), file=sys.stderr)
    sys.exit(1)
