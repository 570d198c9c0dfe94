"""Checks a KCIDB submission with KernelCI's own schema, and prints PATH, STATUS, NUMBER by tabs."""

import json
import sys

import kcidb_io

with open(sys.argv[1], encoding="utf-8") as text:
    data = json.load(text)
assert kcidb_io.schema.LATEST.is_compatible(data)
kcidb_io.schema.LATEST.validate(data)
ids = [test["id"] for test in data["tests"]]
assert len(set(ids)) == len(ids)
for test in data["tests"]:
    print(test["path"], test["status"], test.get("number", {}).get("value", ""), sep="\t")
