#!/usr/bin/env python3
"""Checks files against the Trace Event Format's document and what its readers need: perfetto.py FILE...

Prints for each how many events of each phase it has; ends with 1 and a sentence at the first fault.
"""

import collections
import decimal
import json
import sys


def check(path):
    with open(path, encoding="utf-8") as file:
        trace = json.load(file, parse_float=decimal.Decimal)
    assert trace["displayTimeUnit"] in ("ms", "ns")
    events = trace["traceEvents"]
    phases = collections.Counter()
    names, used, counters = {}, set(), collections.defaultdict(set)
    last = decimal.Decimal(0)
    open_slices = collections.defaultdict(list)
    for event in events:
        phase = event["ph"]
        phases[phase] += 1
        assert phase in "XiCM", f"phase {phase}"
        assert isinstance(event["name"], str) and event["name"], event
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int), event
        assert isinstance(event["args"], dict), event
        track = event["pid"], event["tid"]
        if phase == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index"), event
            if event["name"] == "thread_name":
                assert track not in names, f"{track} is named twice"
                names[track] = event["args"]["name"]
            continue
        assert isinstance(event["cat"], str), event
        time = event["ts"]
        assert time == time.quantize(decimal.Decimal("0.001")), "not whole nanoseconds"
        assert time >= last, f"{time} after {last}: not sorted"
        last = time
        if phase == "C":
            assert event["args"] and all(isinstance(v, int) for v in event["args"].values()), event
            counters[event["pid"], event["name"]].add(tuple(sorted(event["args"])))
            continue
        used.add(track)
        if phase == "i":
            assert event["s"] in "gpt", event
        else:
            assert event["dur"] >= 0, event
            stack = open_slices[track]
            end = time + event["dur"]
            while stack and stack[-1] <= time and not (stack[-1] == time == end):
                stack.pop()
            assert not stack or end <= stack[-1], f"{event} reaches out of what it lies in"
            stack.append(end)
    assert used <= set(names), f"tracks without a name: {used - set(names)}"
    assert all(len(keys) == 1 for keys in counters.values()), "a counter's series change"
    runs = sum(1 for e in events if e.get("cat") == "run")
    findings = collections.Counter(e["name"] for e in events if e.get("cat") == "finding")
    return {"phases": dict(phases), "runs": runs, "findings": dict(findings), "tracks": len(names)}


for path in sys.argv[1:]:
    try:
        print(json.dumps(check(path), sort_keys=True))
    except (AssertionError, KeyError, ValueError) as fault:
        sys.exit(f"{path}: {type(fault).__name__} {fault}")
