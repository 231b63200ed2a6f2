"""Objects that were compiled before: a rebuild compiles only what has changed."""

from __future__ import annotations

import hashlib
import posixpath
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeq.files import write_whole
from edgeq.resources import default_cache

__all__ = ["ObjectCache", "default_cache", "included", "object_key"]

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]', re.MULTILINE)
_INCBIN = re.compile(rb'\.incbin[ \t]+"([^"\n]+)"')
_KEEP_DAYS = 30.0


@dataclass(frozen=True)
class ObjectCache:
    """Objects by the hash of all that they were made from.

    Attributes:
        folder: holds one file per object; made when needed. Objects unused for 30 days are dropped.
    """

    folder: Path

    def get(self, key: str) -> bytes | None:
        """The object of that key, None if it isn't there."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            path.touch()
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep an object.

        Raises:
            UsageError: the folder can't be written.
        """
        write_whole(self._path(key), content)

    def drop_unused(self) -> None:
        """Delete the objects that no build has used for 30 days."""
        oldest = time.time() - _KEEP_DAYS * 86_400
        with suppress(OSError):
            for path in self.folder.glob("*/*.o"):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key[2:]}.o"


def object_key(files: Mapping[str, bytes], source: str, command: Sequence[str], version: str) -> str:
    """Hash of everything that decides what an object holds.

    Args:
        files: the source tree.
        command: the compiler's arguments without the output's path.
        version: the compiler's; it stands for its own headers.
    """
    digest = hashlib.sha256()
    for word in (version, *command):
        digest.update(word.encode() + b"\0")
    for path in sorted(included(files, source)):
        digest.update(path.encode() + b"\0" + hashlib.sha256(files[path]).digest())
    return digest.hexdigest()


def included(files: Mapping[str, bytes], source: str, search: Iterable[str] = ("", "runtime/libc")) -> set[str]:
    """`source` and every file of the tree that it may include, however deep; conditions are not evaluated.

    Args:
        search: the include folders, relative to the tree's root; the including file's own comes first.
    """
    found: set[str] = set()
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for pattern in (_INCLUDE, _INCBIN):
            for name in pattern.findall(files[path]):
                for folder in (posixpath.dirname(path), *search):
                    candidate = posixpath.normpath(posixpath.join(folder, name.decode(errors="replace")))
                    if candidate in files:
                        waiting.append(candidate)
    return found
