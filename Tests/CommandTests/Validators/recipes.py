"""Checks the CI recipes: LAVA's own schema for its job, and nothing that a recipe does not have.

With a recipe's path, prints the shell lines of it that judge; with --record behind it, those that write the
probes.
"""

import os
import sys

import yaml

path = sys.argv[1]
with open(path, encoding="utf-8") as text:
    recipe = yaml.safe_load(text)
kind = os.path.basename(path)
if kind == "lava-job.yaml":
    sys.path.insert(
        0, os.path.join(os.environ["PTRAUTH_TRACE_CACHE"], "lava/usr/lib/python3/dist-packages"))
    import lava_common.schemas

    lava_common.schemas.validate(recipe, strict=True)
    lines = recipe["actions"][-1]["test"]["definitions"][0]["repository"]["run"]["steps"]
elif kind == "gitlab-ci.yml":
    lines = recipe["record"]["script"] + recipe["judge"]["script"]
else:
    steps = [step["run"] for job in recipe["jobs"].values() for step in job["steps"] if "run" in step]
    lines = [line for step in steps for line in step.splitlines()]
command = "probes" if "--record" in sys.argv else "analyze"
lines = [line for line in lines if line.startswith(f"ptrauth-trace {command} ")]
assert lines
print("\n".join(lines))
