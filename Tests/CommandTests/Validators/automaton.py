"""Reads a model with the kernel's own tools/verification, and prints what it understood.

A line is `initial`, `state`, `final` or `event` and a name, or `edge`, from, event, to; by tabs.
"""

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.environ["PTRAUTH_TRACE_CACHE"], "dot2"))
import automata  # noqa: E402

with tempfile.TemporaryDirectory() as directory:
    # It takes the model's name from the file's, which has to end so.
    path = os.path.join(directory, "vcpu.dot")
    os.symlink(os.path.abspath(sys.argv[1]), path)
    model = automata.Automata(path)
print("initial", model.initial_state, sep="\t")
for state in model.states:
    print("state", state, sep="\t")
for state in model.final_states:
    print("final", state, sep="\t")
for event in model.events:
    print("event", event, sep="\t")
for state, row in zip(model.states, model.function):
    for event, target in zip(model.events, row):
        if target != model.invalid_state_str:
            print("edge", state, event, target, sep="\t")
