"""Many generated models as one C file, so that a compiler is started once for all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence


def joined(models: Sequence[dict[str, bytes]]) -> tuple[bytes, dict[str, bytes]]:
    """One translation unit, and the kernel files that it needs.

    Args:
        models: the files of each (`model.h`, `model.c`, `kernels/…`). Model i's functions are called `c{i}_model_…`.
    """
    parts: list[str] = []
    kernels: dict[str, bytes] = {}
    for number, files in enumerate(models):
        kernels |= {k: v for k, v in files.items() if k not in ("model.h", "model.c")}
        parts += [_renamed(files[name].decode(), number) for name in ("model.h", "model.c")]
    headers = "#include <string.h>\n" + "".join(
        f'#include "{name}"\n' for name in sorted(kernels) if name.endswith(".h")
    )
    return (headers + "\n".join(parts)).encode(), kernels


def _renamed(text: str, number: int) -> str:
    plain = re.sub(r'#include ["<](model\.h|kernels/\w+\.h|string\.h)[">]\n', "", text)
    return re.sub(r"(?<![\w.])(MODEL|model|layer|state)_", rf"c{number}_\1_", plain)
