"""Reads CSV as RFC 4180 says, and prints it as JSON lines."""

import csv
import io
import json
import sys

with open(sys.argv[1], encoding="utf-8", newline="") as text:
    content = text.read()
rows = csv.DictReader(io.StringIO(content, newline=""), strict=True, restkey="surplus")
assert content.endswith("\r\n") and content.split("\r\n")[0] == ",".join(rows.fieldnames)
for row in rows:
    assert "surplus" not in row and None not in row.values()
    print(json.dumps(row))
