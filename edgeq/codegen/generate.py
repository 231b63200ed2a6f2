"""A graph, lowered and planned, as `model.h` and `model.c`, and these with kernels and project as a SourceTree."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import jinja2
import numpy as np

from edgeq import resources
from edgeq.codegen.project import build_files, firmware_files, linux_files
from edgeq.codegen.tree import Layer, Manifest, SourceTree, TensorInfo, build_id
from edgeq.errors import UnsupportedError
from edgeq.graph import DType, Graph, Tensor
from edgeq.kernels import Constant, Program, Step
from edgeq.kernels.contract import Repeat
from edgeq.memory import MemoryPlan
from edgeq.target import Target

_TYPE_CODES = {
    DType.INT8: 0,
    DType.UINT8: 1,
    DType.INT16: 2,
    DType.INT32: 3,
    DType.FLOAT32: 4,
    DType.BOOL: 5,
    DType.INT64: 6,
}
_NUMPY = {
    "int8_t": np.int8,
    "uint8_t": np.uint8,
    "int16_t": np.int16,
    "uint16_t": np.uint16,
    "int32_t": np.int32,
    "uint32_t": np.uint32,
    "int64_t": np.int64,
    "float": np.float32,
}
_SECTIONS = {"weights": "WEIGHTS", "parameters": "PARAMETERS"}


def generate(program: Program, plan: MemoryPlan, target: Target) -> SourceTree:
    """Everything the compiler needs, for one target.

    Raises:
        UnsupportedError: a model's end has a type that the firmware can't carry.
    """
    manifest = manifest_of(program, plan, target.name, target.clock_hz)
    files = {**firmware_files(target, manifest), **model_files(program, plan, manifest)}
    told = replace(manifest, build=build_id(files))
    return SourceTree({**files, **build_files(told)}, told)


def generate_program(program: Program, plan: MemoryPlan, target: Target) -> SourceTree:
    """A model as a command-line program for a computer or phone: see `edgeq.codegen.project.linux_files`.

    Raises:
        UnsupportedError: a model's end has a type that the program can't carry.
    """
    manifest = manifest_of(program, plan, target.name, target.clock_hz)
    files = {**linux_files(), **model_files(program, plan, manifest)}
    return SourceTree(files, replace(manifest, build=build_id(files)))


@dataclass(frozen=True)
class Names:
    """What generated C calls itself.

    Attributes:
        prefix: of its functions and types; in capitals, of its macros.
        stem: of its two files.
        sections: whether weights and parameters get sections of their own, which edgeq's linker script knows.
    """

    prefix: str = "model"
    stem: str = "model"
    sections: bool = True


def model_files(
    program: Program, plan: MemoryPlan, manifest: Manifest | None = None, names: Names | None = None
) -> dict[str, bytes]:
    """`model.h`, `model.c` and the kernels that they call: all that one's own project needs."""
    manifest = manifest or manifest_of(program, plan)
    names = names or Names()
    templates = _templates()
    kernels = _kernel_files(program)
    context = {
        "n": names.prefix,
        "N": names.prefix.upper(),
        "stem": names.stem,
        "sections": names.sections,
        "manifest": manifest,
        "headers": [path for path in kernels if path.endswith(".h")],
        "inputs": [_end(program.graph.tensors[i], plan) for i in program.graph.inputs],
        "outputs": [_end(program.graph.tensors[i], plan) for i in program.graph.outputs],
        "layers": [_layer(program, place, plan) for place in range(len(program.steps))],
        "states": _states(program.graph, plan),
    }
    files = {
        f"{names.stem}.{kind}": templates.get_template(f"model.{kind}.j2").render(context).encode() for kind in "hc"
    }
    return {**files, **kernels}


def _kernel_files(program: Program) -> dict[str, bytes]:
    """The kernel sources that the program calls, and their headers."""
    folder = resources.folder("firmware_templates") / "kernels"
    found: dict[str, bytes] = {}
    for relative in ("portable/edgeq_kernels.h", *program.sources):
        for path in _with_headers(folder / relative):
            found[f"kernels/{path.name}"] = path.read_bytes()
    return found


def _with_headers(source: Path) -> tuple[Path, ...]:
    """A kernel file, and the headers of its own folder that it includes, by way of others too."""
    found = [source]
    for path in found:
        included = re.findall(rb'#include "kernels/(\w+\.h)"', path.read_bytes())
        headers = (source.parent / name.decode() for name in included)
        found += [header for header in headers if header.is_file() and header not in found]
    return tuple(found)


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    folder = resources.folder("firmware_templates") / "model"
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def manifest_of(program: Program, plan: MemoryPlan, target: str = "", clock_hz: int = 0) -> Manifest:
    """What generated C is made from.

    Raises:
        UnsupportedError: a model's end has a type that generated C can't carry.
    """
    graph = program.graph
    return Manifest(
        model_name=_c_string(graph.name),
        model_sha256=graph.sha256,
        model_bytes=graph.file_bytes,
        target=target,
        clock_hz=clock_hz,
        arena_bytes=plan.arena_bytes,
        weights_bytes=program.constant_bytes("weights"),
        macs=program.model_macs,
        inputs=tuple(tensor_info(graph.tensors[i]) for i in graph.inputs),
        outputs=tuple(tensor_info(graph.tensors[i]) for i in graph.outputs),
        layers=tuple(
            Layer(
                index=step.op.index,
                op=step.op.kind,
                name=graph.output_of(step.op).name,
                kernel=step.kernel.symbol,
                macs=step.lowering.macs,
                weights_bytes=sum(len(c.data) for c in program.constants(place) if c.section == "weights"),
                why=step.why,
            )
            for place, step in enumerate(program.steps)
        ),
        precisions=program.precisions,
        optimize=program.objective.value,
        choices=program.notes,
    )


def tensor_info(tensor: Tensor) -> TensorInfo:
    """One of a model's ends, as the manifest tells it.

    Raises:
        UnsupportedError: of a type that neither firmware nor program can carry.
    """
    if tensor.dtype not in _TYPE_CODES:
        raise UnsupportedError(
            f"tensor '{tensor.name}' at the model's end is {tensor.dtype.value}; the firmware carries "
            + ", ".join(d.value for d in _TYPE_CODES),
            where="model",
            next_step="convert the model again with --io int8",
        )
    quant = tensor.quant
    return TensorInfo(
        name=_c_string(tensor.name),
        dtype=tensor.dtype.value,
        shape=tensor.shape,
        size_bytes=tensor.size_bytes,
        scale=float(quant.scale[0]) if quant and not tensor.dtype.is_float else 0.0,
        zero_point=int(quant.zero_point[0]) if quant and not tensor.dtype.is_float else 0,
    )


@dataclass(frozen=True)
class _End:
    c_name: str
    size_bytes: int
    elements: int
    type_code: int
    scale_hex: str
    zero_point: int
    offset: int


def _end(tensor: Tensor, plan: MemoryPlan) -> _End:
    info = tensor_info(tensor)
    return _End(
        c_name=info.name,
        size_bytes=info.size_bytes,
        elements=tensor.elements,
        type_code=_TYPE_CODES[tensor.dtype],
        scale_hex=f"{info.scale.hex()}f",
        zero_point=info.zero_point,
        offset=plan.offsets[tensor.index],
    )


@dataclass(frozen=True)
class _ConstantText:
    symbol: str
    c_type: str
    count: int
    section: str
    values: str


@dataclass(frozen=True)
class _ParamsText:
    """One call's parameters: a block, or one for each precision as an array."""

    symbol: str
    struct: str
    blocks: tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True)
class _LayerText:
    index: int
    comment: str
    constants: tuple[_ConstantText, ...]
    params: tuple[_ParamsText, ...]
    calls: tuple[str, ...]


def _layer(program: Program, place: int, plan: MemoryPlan) -> _LayerText:
    """One layer's constants, parameter blocks and calls.

    Where precisions differ in it, there are as many blocks; constants that they have in common are written once.
    """
    graph, step = program.graph, program.steps[place]
    index = step.op.index
    prefix = f"layer_{index}"
    pointers = {
        **_pointers("in", step.op.inputs, plan, "const void *"),
        **_pointers("in", _variables(graph, step.op.inputs), plan, "void *"),  # a state is read and written
        **_pointers("out", step.op.outputs, plan, "void *"),
        "scratch": f"(void *)(arena + {plan.scratch_offsets.get(index, 0)}u)",
    }
    steps = _at_each_precision(program, place)
    written: dict[tuple[str, str, bytes], _ConstantText] = {}
    symbols = [_symbols(prefix, s, bits, written) for bits, s in steps.items()]
    params: list[_ParamsText] = []
    calls: list[str] = []
    for number, call in enumerate(step.lowering.calls):
        symbol = f"{prefix}_params" + (f"_{number}" if len(step.lowering.calls) > 1 else "")
        blocks = tuple(
            tuple((name, _fill(value, own)) for name, value in s.lowering.calls[number].fields.items())
            for s, own in zip(steps.values(), symbols, strict=True)
        )
        same = next((p.symbol for p in params if (p.struct, p.blocks) == (call.struct, blocks)), "")
        if same:
            symbol = same
        else:
            params.append(_ParamsText(symbol, call.struct, blocks))
        arguments = ", ".join(_fill(a, {**pointers, **symbols[0]}) for a in call.arguments)
        lines = _calls(symbol, arguments, [s.lowering.calls[number].symbol or s.kernel.symbol for s in steps.values()])
        calls += _repeated(step.lowering.repeats, number, lines)
    if step.lowering.alias:
        calls.append(f"/* {_c_string(graph.label(step.op))}: its output is its input's memory */")
    comment = f"{_c_string(graph.label(step.op))}, {step.lowering.macs} MACs"
    return _LayerText(index, comment, tuple(written.values()), tuple(params), tuple(calls))


def _at_each_precision(program: Program, place: int) -> dict[int, Step]:
    """bits → the step; only 8 where all are the same."""
    step = program.steps[place]
    lower = {bits: p.steps[place] for bits, p in program.lower.items()}
    return {8: step, **lower} if any(s is not step for s in lower.values()) else {8: step}


def _symbols(
    prefix: str, step: Step, bits: int, written: dict[tuple[str, str, bytes], _ConstantText]
) -> dict[str, str]:
    """Placeholders of a step's constants → C symbols; adds to `written` those that aren't there yet."""
    found = {}
    for constant in step.lowering.constants:
        key = (constant.c_type, constant.section, constant.data)
        if key not in written:
            written[key] = _constant(prefix, constant, "" if bits == 8 else f"_{bits}")
        found[f"const:{constant.name}"] = written[key].symbol
    return found


def _calls(params: str, arguments: str, kernels: list[str]) -> list[str]:
    """The call, or what decides among them where precisions have different kernels."""
    after = f", {arguments}" if arguments else ""
    if len(kernels) == 1:
        return [f"{kernels[0]}(&{params}{after});"]
    if len(set(kernels)) == 1:
        return [f"{kernels[0]}(&{params}[level]{after});"]
    assert len(set(kernels[1:])) == 1
    return [
        f"if (level == 0) {kernels[0]}(&{params}[0]{after});",
        f"else {kernels[1]}(&{params}[level]{after});",
    ]


def _repeated(repeats: tuple[Repeat, ...], number: int, lines: list[str]) -> list[str]:
    """The lines of one call, with the loop around it or the part of the loop that begins or ends here."""
    for repeat in repeats:
        if repeat.first <= number < repeat.end:
            head = [f"for (uint32_t round = 0; round < {repeat.times}u; ++round) {{"] * (number == repeat.first)
            return [*head, *(f"  {line}" for line in lines), *["}"] * (number == repeat.end - 1)]
    return lines


def _pointers(role: str, tensors: tuple[int, ...], plan: MemoryPlan, c_type: str) -> dict[str, str]:
    offsets = plan.offsets
    return {f"{role}{i}": f"({c_type})(arena + {offsets[t]}u)" for i, t in enumerate(tensors) if t in offsets}


def _variables(graph: Graph, tensors: tuple[int, ...]) -> tuple[int, ...]:
    """Those that are variables, in their places; -1 for the others."""
    return tuple(i if i >= 0 and graph.tensors[i].is_variable else -1 for i in tensors)


@dataclass(frozen=True)
class _StateText:
    """A variable's place, and what it holds after a reset: a byte over and over, or a constant."""

    offset: int
    size_bytes: int
    byte: int
    initial: _ConstantText | None


def _states(graph: Graph, plan: MemoryPlan) -> list[_StateText]:
    found = []
    offsets = plan.offsets
    for tensor in graph.tensors:
        if not tensor.is_variable or tensor.index not in offsets:
            continue
        initial = None
        if tensor.initial is not None:
            data = tensor.initial.astype(tensor.dtype.numpy.newbyteorder("<")).tobytes()
            initial = _constant(f"state_{tensor.index}", Constant("initial", "uint8_t", data, "parameters"), "")
        # What TensorFlow Lite's interpreter resets variables to.
        zero = int(tensor.quant.zero_point[0]) & 255 if tensor.dtype is DType.INT8 and tensor.quant else 0
        found.append(_StateText(offsets[tensor.index], tensor.size_bytes, zero, initial))
    return found


def _fill(text: str, values: dict[str, str]) -> str:
    return re.sub(
        r"\{([a-z]+[0-9]*|const:\w+)((?:\+[0-9]+(?:\*round)?)*)\}", lambda m: _moved(values[m[1]], m[2]), text
    )


def _moved(pointer: str, steps: str) -> str:
    """A pointer into the arena that goes on by some steps, `+64+288*round`."""
    if not steps:
        return pointer
    further = re.sub(r"\+([0-9]+)(\*round)?", lambda m: f" + {m[1]}u" + " * round" * bool(m[2]), steps)
    return f"{pointer.removesuffix(')')}{further})"


def _constant(prefix: str, constant: Constant, suffix: str) -> _ConstantText:
    values = np.frombuffer(constant.data, np.dtype(_NUMPY[constant.c_type]).newbyteorder("<"))
    if constant.c_type == "int32_t":  # INT32_MIN has no literal of its own type in C
        words = ["(-2147483647 - 1)" if v == -(1 << 31) else str(v) for v in values.tolist()]
    elif constant.c_type == "int64_t":
        words = ["(-INT64_C(9223372036854775807) - 1)" if v == -(1 << 63) else f"INT64_C({v})" for v in values.tolist()]
    elif constant.c_type == "float":
        words = [f"{v.hex()}f" for v in values.tolist()]
    else:
        words = list(map(str, values.tolist()))
    per_line = 24 if constant.c_type.startswith(("int8", "uint8")) else 8
    lines = [",".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
    return _ConstantText(
        symbol=f"{prefix}_{constant.name}{suffix}",
        c_type=constant.c_type,
        count=len(words),
        section=_SECTIONS[constant.section],
        values=",\n".join(lines),
    )


def _c_string(text: str) -> str:
    """A name that neither ends a string nor a comment, whatever the file called it; at most 96 characters."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in " _-./:;()#[],=+") else "_" for c in text)
    return safe.replace("*/", "__").replace("/*", "__")[:96]
