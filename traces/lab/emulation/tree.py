"""Edits of a source tree. Each must find its place as often as it says: a tree that is another one is an error, not a guess."""

from __future__ import annotations

import os
import re
from collections.abc import Callable


class Tree:
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def read(self, path: str) -> str:
        with open(os.path.join(self.folder, path)) as file:
            return file.read()

    def write(self, path: str, text: str) -> None:
        with open(os.path.join(self.folder, path), "w") as file:
            file.write(text)

    def remove(self, path: str) -> None:
        os.remove(os.path.join(self.folder, path))

    def replace(self, path: str, pattern: str, text: str, times: int = 1) -> None:
        """pattern: a regular expression, with ^ and $ at lines; text: taken as it is."""
        self._edit(path, pattern, lambda match: text, times)

    def after(self, path: str, pattern: str, text: str) -> None:
        self._edit(path, pattern, lambda match: match[0] + text)

    def before(self, path: str, pattern: str, text: str) -> None:
        self._edit(path, pattern, lambda match: text + match[0])

    def append(self, path: str, text: str) -> None:
        self.write(path, self.read(path) + text)

    def _edit(self, path: str, pattern: str, by: Callable[[re.Match[str]], str], times: int = 1) -> None:
        new, found = re.subn(pattern, by, self.read(path), flags=re.MULTILINE)
        if found != times:
            raise SystemExit(f"{path}: {pattern!r} is there {found} times, not {times}: this is another tree")
        self.write(path, new)
