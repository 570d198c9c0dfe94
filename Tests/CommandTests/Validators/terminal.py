"""Runs a program on a terminal of its own (standard output and standard error), and prints what came there.

terminal.py [NAME=VALUE...] PROGRAM ARGUMENT...: the exit code is the program's. SIZE is the terminal's columns; without
it the terminal does not say.
"""

import fcntl
import os
import pty
import struct
import sys
import termios

words = sys.argv[1:]
for name in ("PERF_PAGER", "PAGER", "LESS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"):
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm"
while "=" in words[0]:
    name, value = words.pop(0).split("=", 1)
    os.environ[name] = value
child, terminal = pty.fork()
if child == 0:
    columns = int(os.environ.pop("SIZE", "0"))
    if columns:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    os.execvp(words[0], words)
seen = b""
while True:
    try:
        chunk = os.read(terminal, 65536)
    except OSError:
        break
    if not chunk:
        break
    seen += chunk
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
