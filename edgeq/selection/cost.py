"""What a layer costs before anything is built: each kernel's cycles, fitted on a virtual board (costs.toml).

A layer's cycles are a sum over what can be counted in its shapes (`counts`), each with a coefficient of its kernel.
benchmarks/fit_costs.py finds the coefficients and their error; nothing here is true of any other core or memory.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path

from edgeq.graph import Graph, Op
from edgeq.toml_schema import build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ONE_SIGN = ("RELU", "RELU6")
COSTS_FILE = Path(__file__).with_name("costs.toml")


@dataclass(frozen=True)
class KernelCost:
    """One kernel's cycles.

    Attributes:
        cycles: what is counted (a key of `counts`) → cycles of each.
        error_percent: twice the root mean square of the fit's relative residuals.
        layers: how many layers it was fitted on.
    """

    cycles: Mapping[str, float]
    error_percent: float
    layers: int


@dataclass(frozen=True)
class MemoryClass:
    """The memory that the costs hold for: what code, weights and activations are read from.

    Attributes:
        wait_states, read_bytes, cache_line_bytes, data_cache_lines: of the flash, as in `FlashTiming`.
        fast_ram_bytes: of the RAM, from its start: what lies beyond is read more slowly.
    """

    wait_states: int
    read_bytes: int
    cache_line_bytes: int
    data_cache_lines: int
    fast_ram_bytes: int


@dataclass(frozen=True)
class Costs:
    """All of costs.toml.

    Attributes:
        core, memory: what they hold for, and nothing else.
        cycle_model: of the virtual board that gave them.
        source: how they came about.
        kernel: symbol → its cost.
    """

    core: str
    cycle_model: str
    source: str
    memory: MemoryClass
    kernel: Mapping[str, KernelCost]


@lru_cache(maxsize=1)
def costs() -> Costs:
    """The figures of costs.toml.

    Raises:
        TargetFileError: the file isn't valid.
    """
    with COSTS_FILE.open("rb") as stream:
        return build(Costs, tomllib.load(stream), str(COSTS_FILE))


def counts(graph: Graph, op: Op, macs: int) -> Mapping[str, float]:
    """What a layer's cost can depend on, from its shapes alone.

    `calls` one; `inputs`, `outputs` elements; `signed` outputs, which no fused RELU keeps from being negative and which
    take more to round; `channels` of the output; `rows` of all its planes, along the longer side; `positions` of the
    output without channels; `columns` elements read per output channel, times positions; `macs` as computed, or
    elements looked at by a window.

    Args:
        macs: of the operator's lowering.
    """
    out = graph.output_of(op)
    channels = out.shape[-1] if out.shape else 1
    sides = out.shape[1:3] if len(out.shape) == 4 else (1, 1)
    looked_at = macs or out.elements * _window(op)
    return {
        "calls": 1.0,
        "inputs": float(sum(graph.tensors[i].elements for i in op.inputs if i >= 0 and _moves(graph, i))),
        "outputs": float(out.elements),
        "signed": 0.0 if op.options.get("fused_activation_function") in _ONE_SIGN else float(out.elements),
        "channels": float(channels),
        "rows": float(channels * min(sides)),
        "positions": out.elements / max(1, channels),
        "columns": looked_at / max(1, channels),
        "macs": float(looked_at),
    }


def cycles(cost: KernelCost, counted: Mapping[str, float]) -> float:
    """Estimated cycles of a layer."""
    return sum(each * counted[name] for name, each in cost.cycles.items())


def _moves(graph: Graph, index: int) -> bool:
    return not graph.tensors[index].is_constant


def _window(op: Op) -> int:
    sizes = [op.options.get(name, 1) for name in ("filter_height", "filter_width")]
    return prod(size for size in sizes if isinstance(size, int))
