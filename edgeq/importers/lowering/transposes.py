"""Take out the TRANSPOSE operators that a channels-first network leaves behind.

The operators are walked in order once. A TRANSPOSE isn't written but remembered: its output is a View of its input.
An operator that can work on the input's own axes (arithmetic, CONCATENATION, MEAN, PAD, SPLIT, FULLY_CONNECTED, …)
does, its parameters and constants permuted, and its output is again a View. An operator that can't gets the view
written out; where two permutations have cancelled, that is nothing at all. What the ends of the network are left with
becomes their own layout, where the caller allows it.
"""

from __future__ import annotations

from itertools import product

from edgeq.importers.lowering.net import Net
from edgeq.importers.lowering.rewriter import Rewriter, channels_last
from edgeq.importers.lowering.sinking import RULES

_MAX_CHOICES = 4  # inputs whose two layouts are tried in all combinations


def remove_transposes(net: Net, *, free_ends: bool) -> Net:
    """The same network with as few elements transposed as this pass can do.

    Args:
        free_ends: inputs and outputs may come in another layout; `layouts` of the result says which did.
    """
    choices: list[list[tuple[int, ...] | None]] = [
        [None, channels_last(net.values[name].shape)]
        if free_ends and 3 <= len(net.values[name].shape) <= 5 and i < _MAX_CHOICES
        else [None]
        for i, name in enumerate(net.inputs)
    ]
    found = [
        Rewriter(net, RULES, dict(zip(net.inputs, layouts, strict=True)), free_ends).run()
        for layouts in product(*choices)
    ]
    # The network as it was is among the candidates: where several readers share one transpose, moving it can cost more.
    return min([*found, net], key=_cost)


def _cost(net: Net) -> tuple[int, int, int]:
    moved = sum(net.values[s.inputs[0]].elements for s in net.steps if s.kind == "TRANSPOSE")
    return moved, sum(s.kind in ("TRANSPOSE", "RESHAPE") for s in net.steps), len(net.layouts)
