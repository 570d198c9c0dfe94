"""Checks documents against a schema of traces/schemas: schemas.py SCHEMA DOCUMENT ...

A document whose name ends in jsonl is one a line. Prints how many documents were checked. Exits with 1 on the
first fault.
"""

import json
import sys

import jsonschema

with open(sys.argv[1], encoding="utf-8") as text:
    schema = json.load(text)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
count = 0
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as text:
        documents = [json.loads(line) for line in text] if path.endswith("jsonl") else [json.load(text)]
    for document in documents:
        for error in validator.iter_errors(document):
            best = jsonschema.exceptions.best_match([error])
            raise SystemExit(f"{path}: {best.json_path}: {best.message[:400]}")
        count += 1
print(count)
