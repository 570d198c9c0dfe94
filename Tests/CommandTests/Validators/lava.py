"""Reads LAVA signals with the pattern, the parser and the matcher of LAVA's own dispatcher.

Prints SET, CASE, RESULT, MEASUREMENT, UNITS by tabs.
"""

import ast
import decimal
import os
import re
import sys

dispatcher = os.path.join(
    os.environ["PTRAUTH_TRACE_CACHE"], "lava/usr/lib/python3/dist-packages/lava_dispatcher")


class JobError(Exception):
    pass


class TestError(Exception):
    pass


class InternalObject:
    pass


def take(path, name, names):
    """Defines one function or class of the dispatcher, which as a whole needs a device farm."""
    with open(os.path.join(dispatcher, path), encoding="utf-8") as text:
        tree = ast.parse(text.read())
    found = [node for node in tree.body if getattr(node, "name", None) == name]
    exec(compile(ast.Module(found, []), path, "exec"), names)
    return names[name]


names = {"JobError": JobError, "TestError": TestError, "InternalObject": InternalObject, "decimal": decimal}
parse = take("actions/test/shell.py", "handle_testcase", names)
match = take("connection.py", "SignalMatch", names)().match
with open(os.path.join(dispatcher, "actions/test/shell.py"), encoding="utf-8") as text:
    pattern = re.search(r'"signal": r"(.*)",', text.read()).group(1)

current = None
with open(sys.argv[1], encoding="utf-8", newline="") as text:
    for name, words in re.findall(pattern, text.read()):
        parameters = words.split()
        if name == "TESTSET":
            # As TestShellAction.signal_test_set does.
            action = parameters.pop(0)
            assert (current is None) == (action == "START"), words
            current = parameters[0] if action == "START" else None
        else:
            assert name == "TESTCASE", name
            case = match(parse(parameters))
            print(
                current, case["test_case_id"], case["result"], case.get("measurement", ""),
                case.get("units", ""), sep="\t")
assert current is None
