"""Loads a completion script from standard input into an interactive zsh, and presses Tab after `ptrauth-trace ana`.

Prints what the line became. Exits with 1 if that does not come within 20 s.
"""

import os
import pty
import select
import sys
import tempfile
import time

script = sys.stdin.read()
with tempfile.TemporaryDirectory() as home:
    with open(os.path.join(home, "_ptrauth-trace"), "w", encoding="utf-8") as text:
        text.write(script)
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(HOME=home, ZDOTDIR=home, TERM="dumb", PS1="> ")
        os.execvp("zsh", ["zsh", "-f", "-i"])

    def talk(line, until, seconds=20):
        os.write(terminal, line.encode())
        seen = b""
        end = time.monotonic() + seconds
        while until not in seen:
            if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
                sys.exit(f"no {until!r} in {seen!r}")
            seen += os.read(terminal, 65536)
        return seen

    talk("unsetopt zle_bracketed_paste; fpath=($HOME $fpath); autoload -Uz compinit; compinit -u -D\n"
         "echo rea''dy\n", b"ready")
    seen = talk("echo ptrauth-trace ana", b"trace ana")
    os.write(terminal, b"\x15")
    talk("ptrauth-trace ana\t", b"analyze")
    print("analyze")
    os.write(terminal, b"\x15exit\n")
    os.close(terminal)
