"""Object cache: what an object depends on, and what it doesn't."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.toolchains.cache import ObjectCache, included, object_key

FILES = {
    "model.c": b'#include "model.h"\n#include <string.h>\n#include "kernels/a.h"\n',
    "model.h": b"#include <stdint.h>\n",
    "kernels/a.c": b'  #  include "a.h"\n',
    "kernels/a.h": b'#include "b.h"\n#include "kernels/a.h"\n',
    "kernels/b.h": b"int b;\n",
    "kernels/table.S": b'.incbin "kernels/table.bin"\n',
    "kernels/table.bin": b"\x00",
    "runtime/libc/string.h": b"",
    "unrelated.h": b"",
}


def test_included_follows_headers_however_deep() -> None:
    assert included(FILES, "kernels/a.c") == {"kernels/a.c", "kernels/a.h", "kernels/b.h"}
    assert included(FILES, "model.c") == {
        "model.c",
        "model.h",
        "runtime/libc/string.h",
        "kernels/a.h",
        "kernels/b.h",
    }
    assert included(FILES, "kernels/table.S") == {"kernels/table.S", "kernels/table.bin"}


@given(changed=st.sampled_from(sorted(FILES)), source=st.sampled_from(["model.c", "kernels/a.c", "kernels/table.S"]))
def test_the_key_changes_exactly_when_something_included_does(changed: str, source: str) -> None:
    before = object_key(FILES, source, ["cc", "-O2"], "cc 1")
    after = object_key({**FILES, changed: FILES[changed] + b"\n"}, source, ["cc", "-O2"], "cc 1")
    assert (before != after) == (changed in included(FILES, source))


def test_the_key_knows_flags_and_version() -> None:
    keys = {
        object_key(FILES, "model.c", command, version)
        for command in (["cc", "-O2"], ["cc", "-Os"], ["cc", "-O", "2"])
        for version in ("cc 1", "cc 2")
    }
    assert len(keys) == 6


def test_objects_come_back_and_old_ones_go(tmp_path: Path) -> None:
    store = ObjectCache(tmp_path)
    assert store.get("ab12") is None
    store.put("ab12", b"new")
    store.put("cd34", b"old")
    long_ago = time.time() - 40 * 86_400
    os.utime(tmp_path / "cd" / "34.o", (long_ago, long_ago))
    store.drop_unused()
    assert store.get("ab12") == b"new"
    assert store.get("cd34") is None


def test_using_an_object_keeps_it(tmp_path: Path) -> None:
    store = ObjectCache(tmp_path)
    store.put("cd34", b"old")
    long_ago = time.time() - 40 * 86_400
    os.utime(tmp_path / "cd" / "34.o", (long_ago, long_ago))
    assert store.get("cd34") == b"old"
    store.drop_unused()
    assert store.get("cd34") == b"old"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "missing.h"])
def test_includes_outside_the_tree_are_not_followed(name: str) -> None:
    assert included({"a.c": f'#include "{name}"\n'.encode()}, "a.c") == {"a.c"}
