"""A model as source files for a TensorFlow Lite Micro project."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edgeq import __version__
from edgeq.errors import UnsupportedError, UsageError
from edgeq.graph import Graph
from edgeq.runtimes.judge import TFLM, judge
from edgeq.runtimes.table import Runtime, load
from edgeq.runtimes.tflm_arena import ALIGNMENT, ArenaEstimate, unplanned
from edgeq.runtimes.tflm_scratch import Isa
from edgeq.runtimes.verdict import RuntimeReport

_BYTES_PER_LINE = 16
_RESOLVER = "tensorflow/lite/micro/micro_mutable_op_resolver.h"
_SHOWN = 12


def export(
    graph: Graph, data: bytes, runtime: str = TFLM, *, kernels: str = "", isa: Isa = "dsp", name: str = ""
) -> tuple[Mapping[str, bytes], RuntimeReport]:
    """The files of a model for a runtime, and the report that goes with them.

    Args:
        data: the bytes of the `.tflite`.
        kernels, isa: see `judge`; they decide the arena.
        name: what files and C names start with; the graph's own without.

    Returns:
        Relative path to content: the model as an aligned C array with the arena's size, the operators' resolver, and a
        README.

    Raises:
        UsageError: there is no export for that runtime.
        UnsupportedError: the runtime refuses the model; the message names each operator with the rule.
    """
    require_export(runtime)
    report = judge(graph, runtime, kernels=kernels, isa=isa)
    _refuse(report, graph)
    if report.arena is None:
        raise UnsupportedError(
            f"the arena can't be told: {unplanned(graph)} needs memory that the model doesn't show",
            where=report.model,
            next_step="measure it on the device with MicroInterpreter::arena_used_bytes()",
        )
    calls = resolver_calls(graph, load(runtime))
    name = name or identifier(graph.name)
    files = {
        f"{name}_model.h": _header(name, graph, data, report.arena, report),
        f"{name}_model.c": _array(name, data),
        f"{name}_resolver.h": _resolver(name, calls, report),
        "README.md": _readme(name, graph, calls, report.arena, report),
    }
    return {path: text.encode() for path, text in files.items()}, report


def require_export(runtime: str) -> None:
    """Raise UsageError for a runtime that has no export: the others load the `.tflite` file itself."""
    if runtime != TFLM:
        load(runtime)  # says so when there is no such runtime at all
        raise UsageError(
            f"there is no export for {runtime}",
            next_step=f"--runtime {TFLM}; the others load the .tflite file itself",
        )


def resolver_calls(graph: Graph, runtime: Runtime) -> tuple[str, ...]:
    """The resolver's methods for the operators of a graph, each once, in the order of their first use."""
    rows = [runtime.find(op.custom_name or op.kind) for op in graph.ops]
    return tuple(dict.fromkeys(row.call for row in rows if row is not None and row.call))


def identifier(name: str) -> str:
    """A file's stem as the start of C names."""
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "model"
    return f"model_{plain}" if plain[0].isdigit() else plain


def _printable(name: str) -> str:
    """A file's stem, which may hold anything, on one line and without what ends a comment."""
    return "".join(c if c.isprintable() else " " for c in name).replace("*/", "* /")


def _refuse(report: RuntimeReport, graph: Graph) -> None:
    if report.runs:
        return
    sentences = [v.message for v in report.findings]
    sentences += [f"{graph.label(graph.ops[v.index])}: {v.violation.message}" for v in report.refused if v.violation]
    more = f"\n  … and {len(sentences) - _SHOWN} more" if len(sentences) > _SHOWN else ""
    raise UnsupportedError(
        f"{report.runtime_title} refuses it:\n  " + "\n  ".join(sentences[:_SHOWN]) + more,
        where=report.model,
        next_step=f"`edgeq check --runtime {report.runtime}` lists all of it",
        report=report.to_json(),
    )


def _provenance(arena: ArenaEstimate, report: RuntimeReport, indent: str = "") -> str:
    """In two lines, the second after `indent`."""
    kernels = f"CMSIS-NN kernels ({arena.isa} build)" if arena.isa else "reference kernels"
    return f"estimated for a 32-bit Arm with {kernels},\n{indent}from the rules of {report.runtime_version}"


def _header(name: str, graph: Graph, data: bytes, arena: ArenaEstimate, report: RuntimeReport) -> str:
    upper = name.upper()
    return f"""/* {_printable(graph.name)}: a TensorFlow Lite model, written by edgeq {__version__}.
 * sha256 {graph.sha256} */
#ifndef {upper}_MODEL_H
#define {upper}_MODEL_H

/* The smallest tensor arena, in bytes, that AllocateTensors() succeeds with:
 * {_provenance(arena, report, " * ")}.
 * The head (activations and scratch) takes {arena.head_bytes}, the tail (what stays) {arena.tail_bytes}:
 * MicroInterpreter::arena_used_bytes() should tell {arena.used_bytes}.
 * The arena itself must lie at a multiple of {ALIGNMENT}. */
#define {upper}_ARENA_BYTES {arena.needed_bytes}u

#define {upper}_MODEL_BYTES {len(data)}u

#ifdef __cplusplus
extern "C" {{
#endif

/* The model's file; the linker leaves it in flash. */
extern const unsigned char {name}_model[{upper}_MODEL_BYTES];

#ifdef __cplusplus
}}
#endif

#endif
"""


def _array(name: str, data: bytes) -> str:
    rows = [data[i : i + _BYTES_PER_LINE] for i in range(0, len(data), _BYTES_PER_LINE)]
    body = "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in row) for row in rows)
    return f"""#include "{name}_model.h"

_Alignas({ALIGNMENT}) const unsigned char {name}_model[{name.upper()}_MODEL_BYTES] = {{
{body}
}};
"""


def _resolver(name: str, calls: Sequence[str], report: RuntimeReport) -> str:
    upper = name.upper()
    body = "\n".join(f"  if (resolver.{call}() != kTfLiteOk) return kTfLiteError;" for call in calls)
    return f"""// The operators of {name}, and no others: {report.runtime_version}.
#ifndef {upper}_RESOLVER_H
#define {upper}_RESOLVER_H

#include "{_RESOLVER}"

namespace {name}_tflm {{

using OpResolver = tflite::MicroMutableOpResolver<{len(calls)}>;

inline TfLiteStatus RegisterOps(OpResolver& resolver) {{
{body}
  return kTfLiteOk;
}}

}}  // namespace {name}_tflm

#endif
"""


def _readme(name: str, graph: Graph, calls: Sequence[str], arena: ArenaEstimate, report: RuntimeReport) -> str:
    upper = name.upper()
    ends = "\n".join(
        f"| {end} {position} | {t.dtype.value} | {list(t.shape)} | {t.size_bytes} |"
        for end, indices in (("input", graph.inputs), ("output", graph.outputs))
        for position, t in enumerate(graph.tensors[i] for i in indices)
    )
    notes = "".join(f"- {v.op} #{v.index}: {v.note}\n" for v in report.operators if v.note)
    return f"""# {_printable(graph.name)} for TensorFlow Lite Micro

Written by edgeq {__version__} from a model with sha256 `{graph.sha256}`.

| end | type | shape | bytes |
|---|---|---|---|
{ends}

- `{name}_model.h`, `{name}_model.c`: the model as a C array, aligned to {ALIGNMENT} bytes, and `{upper}_ARENA_BYTES`.
- `{name}_resolver.h`: `MicroMutableOpResolver<{len(calls)}>` with {", ".join(calls)}.

```cpp
#include "{name}_model.h"
#include "{name}_resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

alignas({ALIGNMENT}) static uint8_t arena[{upper}_ARENA_BYTES];

{name}_tflm::OpResolver resolver;
{name}_tflm::RegisterOps(resolver);
tflite::MicroInterpreter interpreter(tflite::GetModel({name}_model), resolver, arena, sizeof(arena));
interpreter.AllocateTensors();  // kTfLiteOk when the arena suffices
interpreter.Invoke();
```

## The arena

{arena.needed_bytes} bytes, {_provenance(arena, report)}:

- {arena.head_bytes} for activations and scratch (the planner's head),
- {arena.tail_bytes} that stay (the tail): {arena.used_bytes} in all, as `arena_used_bytes()` tells it,
- and what is missing to a multiple of {ALIGNMENT}, or, in small models, what planning itself takes.

Other builds and versions differ: compare with `arena_used_bytes()` once, and leave room where the library may change.
{notes and chr(10) + notes}"""
