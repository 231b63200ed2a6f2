"""edgeq's own engine as a Runtime: its rows are the kernel table's."""

from __future__ import annotations

from functools import lru_cache

from edgeq import __version__
from edgeq.kernels import KERNELS, operators
from edgeq.runtimes.table import EDGEQ, Operator, Runtime


@lru_cache(maxsize=1)
def engine() -> Runtime:
    """One row per operator, with what all of its kernels together compute in."""
    rows = []
    for name in operators():
        kernels = [k for k in KERNELS if k.op == name]
        types = tuple(dict.fromkeys(k.types for k in kernels))
        rows.append(Operator(name, types, max_version=max(k.max_version for k in kernels)))
    return Runtime(
        name=EDGEQ,
        title="edgeq",
        version=__version__,
        source=("edgeq/kernels/table.py: the rules of each kernel decide",),
        operator=tuple(rows),
        resizes=False,
        unresolved_shapes=False,
    )
