"""Reads JUnit XML with junitparser, and prints what it understood.

A line is SUITE, CASE, RESULT, by tabs. Exits with 1 if the counts of a suite are not those of its cases.
"""

import sys

import junitparser

report = junitparser.JUnitXml.fromfile(sys.argv[1])
words = {
    junitparser.Failure: "failed",
    junitparser.Error: "error",
    junitparser.Skipped: "skipped",
}
totals = []
for suite in report:
    stated = [suite.tests, suite.failures, suite.errors, suite.skipped]
    totals.append(stated)
    for case in suite:
        assert len(case.result) <= 1, case.name
        assert case.classname and case.name
        print(suite.name, case.name, words[type(case.result[0])] if case.result else "passed", sep="\t")
    suite.update_statistics()
    counted = [suite.tests, suite.failures, suite.errors, suite.skipped]
    assert stated == counted, f"{suite.name} states {stated} and has {counted}"
stated = [report.tests, report.failures, report.errors, report.skipped]
assert stated == [sum(column) for column in zip(*totals)], stated
