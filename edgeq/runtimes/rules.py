"""What decides about an operator on a runtime. A rule's docstring, filled in with the facts it returns, is the message.

A rule gets the question and returns None when the operator keeps it. The order matters: a rule relies on those
before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels.contract import Facts
from edgeq.runtimes.table import ANY_TYPE, Operator, Runtime

_INTEGER_WEIGHTS = (DType.INT8, DType.INT4, DType.INT2, DType.UINT8)


@dataclass(frozen=True, eq=False)
class Question:
    """One operator on one runtime.

    Attributes:
        row: the runtime's row for it; rules after `operator_is_registered` may take it for granted.
        kernels: "cmsis-nn" or "reference" where the runtime has both, else "".
    """

    graph: Graph
    op: Op
    runtime: Runtime
    row: Operator
    kernels: str = ""

    @property
    def name(self) -> str:
        """The operator's name, a custom one's own."""
        return self.op.custom_name or self.op.kind

    @property
    def data(self) -> Tensor | None:
        """The input whose type the kernel computes in."""
        return self.graph.input_of(self.op, self.row.data_input)

    @property
    def weights(self) -> Tensor | None:
        """The input that holds weights, None where the row has none."""
        return self.graph.input_of(self.op, self.row.weights_input) if self.row.weighted else None


Rule = Callable[[Question], Facts | None]


def version_is_registered(asked: Question) -> Facts | None:
    """The file asks for version {version} of {op}; {runtime} has {known} and refuses to load the model. Convert it with
    an older converter, or update the runtime."""
    if not asked.runtime.checks_versions or not _version_is_outside(asked):
        return None
    return {**_who(asked), "version": asked.op.version, "known": _known_versions(asked.row)}


def version_is_older_than_the_runtime(asked: Question) -> Facts | None:
    """The file asks for version {version} of {op}, but {runtime} knows {known}. It doesn't compare versions: it would
    compute an older version's meaning without a word. Convert the model with an older converter, or update the
    runtime."""
    if asked.runtime.checks_versions or not _version_is_outside(asked):
        return None
    return {**_who(asked), "version": asked.op.version, "known": _known_versions(asked.row)}


def shapes_are_fixed(asked: Question) -> Facts | None:
    """{op} works on '{tensor}', whose dimensions {signature} were left open when the model was exported, and {runtime}
    allocates every tensor once, from the file. Export the model with fixed shapes."""
    if asked.runtime.unresolved_shapes:
        return None
    open_shape = open_tensor(asked.graph, asked.op)
    return None if open_shape is None else {**_who(asked), **open_shape}


def weights_are_as_activations(asked: Question) -> Facts | None:
    """{op} has {weights} weights but computes in {dtype} (dynamic-range quantization), and {runtime} has no kernel that
    mixes them. Quantize the activations too: run `edgeq convert` on the float model with a representative dataset."""
    data, weights = asked.data, asked.weights
    if data is None or weights is None or not data.dtype.is_float or weights.dtype not in _INTEGER_WEIGHTS:
        return None
    if f"{data.dtype.value}*{weights.dtype.value}" in asked.row.types:
        return None
    return {**_who(asked), "weights": weights.dtype.value, "dtype": data.dtype.value}


def not_uint8(asked: Question) -> Facts | None:
    """{op} computes in UINT8, TensorFlow 1's quantization; {runtime} has it in {types}. Convert the float model again:
    today's converters make int8."""
    data = asked.data
    if data is None or data.dtype is not DType.UINT8 or _has_type(asked):
        return None
    return {**_who(asked), "types": _types(asked.row)}


def not_float(asked: Question) -> Facts | None:
    """{op} computes in {dtype}, and {runtime} has it in {types} only. Run `edgeq convert` with a representative dataset
    to get an int8 model."""
    data = asked.data
    if data is None or not data.dtype.is_float or _has_type(asked) or any("FLOAT32" in t for t in asked.row.types):
        return None
    return {**_who(asked), "dtype": data.dtype.value, "types": _types(asked.row)}


def not_half_float(asked: Question) -> Facts | None:
    """{op} reads {dtype}, a float format of half the size, and {runtime} has it in {types}. Convert the model to int8
    with `edgeq convert`, or to float32."""
    data = asked.data
    if data is None or data.dtype not in (DType.FLOAT16, DType.BFLOAT16) or _has_type(asked):
        return None
    return {**_who(asked), "dtype": data.dtype.value, "types": _types(asked.row)}


def type_is_registered(asked: Question) -> Facts | None:
    """{op} computes in {asked}; {runtime} has it in {types}."""
    if asked.data is None or _has_type(asked):
        return None
    return {**_who(asked), "asked": _asked_type(asked), "types": _types(asked.row)}


def rank_is_supported(asked: Question) -> Facts | None:
    """'{tensor}', the input of {op}, has {rank} dimensions {shape}; {runtime} takes {ranks}."""
    data = asked.data
    if data is None or not asked.row.ranks or len(data.shape) in asked.row.ranks:
        return None
    low, high = min(asked.row.ranks), max(asked.row.ranks)
    ranks = str(low) if low == high else f"{low} to {high}"
    return {
        **_who(asked),
        "tensor": data.short_name,
        "rank": len(data.shape),
        "shape": list(data.shape),
        "ranks": ranks,
    }


def parameters_are_constant(asked: Question) -> Facts | None:
    """Input {position} of {op} ('{tensor}') is computed by the model; {runtime} needs its values in the file."""
    for position in asked.row.constant_inputs:
        tensor = asked.graph.input_of(asked.op, position)
        if tensor is not None and not tensor.is_constant and tensor.elements > 0:
            return {**_who(asked), "position": position, "tensor": tensor.short_name}
    return None


def few_enough_inputs(asked: Question) -> Facts | None:
    """{op} joins {inputs} tensors; {runtime} takes at most {most}. Join them in two steps."""
    if not asked.row.max_inputs or len(asked.op.inputs) <= asked.row.max_inputs:
        return None
    return {**_who(asked), "inputs": len(asked.op.inputs), "most": asked.row.max_inputs}


def activation_is_supported(asked: Question) -> Facts | None:
    """{op} is fused with {activation}; {runtime} has it with {activations}."""
    found = asked.op.text("fused_activation_function", "NONE")
    if not asked.row.activations or found in asked.row.activations:
        return None
    return {**_who(asked), "activation": found, "activations": ", ".join(asked.row.activations)}


GENERAL: tuple[Rule, ...] = (
    version_is_registered,
    version_is_older_than_the_runtime,
    shapes_are_fixed,
    weights_are_as_activations,
    not_uint8,
    not_half_float,
    not_float,
    type_is_registered,
    rank_is_supported,
    parameters_are_constant,
    few_enough_inputs,
    activation_is_supported,
)
"""Asked of every operator that has a row, in this order."""


def operator_is_registered(op: str, runtime: Runtime) -> Facts:
    """{runtime} has no {op}; it registers {count} operators. Replace the layer that it was made of."""
    return {"runtime": runtime.title, "op": op, "count": len(runtime.operator)}


def operator_is_delegated(op: str, runtime: Runtime) -> Facts:
    """{runtime} leaves {op} to {base}, which computes it on the CPU."""
    return {"runtime": runtime.title, "op": op, "base": runtime.falls_back_to}


def custom_operator_is_registered(op: str, runtime: Runtime) -> Facts:
    """'{op}' is a custom operator, which {runtime} knows nothing of: its kernel must be added by hand."""
    return {"runtime": runtime.title, "op": op}


def open_tensor(graph: Graph, op: Op) -> Facts | None:
    """The first tensor of an operator with an open dimension other than the batch."""
    for index in (*op.inputs, *op.outputs):
        tensor = graph.tensors[index] if index >= 0 else None
        if tensor is not None and -1 in tensor.shape_signature[1:]:
            return {"tensor": tensor.short_name, "signature": list(tensor.shape_signature)}
    return None


def _who(asked: Question) -> Mapping[str, object]:
    return {"op": asked.name, "runtime": asked.runtime.title}


def _version_is_outside(asked: Question) -> bool:
    row = asked.row
    return bool(row.max_version) and not row.min_version <= asked.op.version <= row.max_version


def _known_versions(row: Operator) -> str:
    if row.min_version == row.max_version:
        return f"version {row.max_version} only"
    return f"versions {row.min_version} to {row.max_version}"


def _has_type(asked: Question) -> bool:
    row, data = asked.row, asked.data
    if data is None or row.types == (ANY_TYPE,):
        return True
    weights, output = asked.weights, asked.graph.output_of(asked.op)
    return any(_matches(t, data, weights, output) for t in row.types)


def _matches(wanted: str, data: Tensor, weights: Tensor | None, output: Tensor) -> bool:
    if ">" in wanted:
        before, after = wanted.split(">")
        return data.dtype.value == before and output.dtype.value == after
    if "*" in wanted:
        activations, held = wanted.split("*")
        return data.dtype.value == activations and (weights is None or weights.dtype.value == held)
    return data.dtype.value == wanted


def _asked_type(asked: Question) -> str:
    data, weights, output = asked.data, asked.weights, asked.graph.output_of(asked.op)
    found = data.dtype.value if data is not None else "nothing"
    if weights is not None:
        return f"{found} with {weights.dtype.value} weights"
    return f"{found} to {output.dtype.value}" if any(">" in t for t in asked.row.types) else found


def _types(row: Operator) -> str:
    said = []
    for wanted in row.types:
        said.append(wanted.replace("*", " with ").replace(">", " to ") + (" weights" if "*" in wanted else ""))
    return ", ".join(said)


# Rules that rows of the tables name.


def unsupported_by_cmsis_nn_per_channel(asked: Question) -> Facts | None:
    """{op} has int16 activations and one weight scale per channel, which the CMSIS-NN kernel refuses; build {runtime}
    without CMSIS-NN, or convert with per-tensor scales for fully connected layers."""
    data, weights = asked.data, asked.weights
    if asked.kernels != "cmsis-nn" or data is None or weights is None or data.dtype is not DType.INT16:
        return None
    if weights.quant is None or not weights.quant.per_channel:
        return None
    return _who(asked)


def int4_weights_have_one_scale(asked: Question) -> Facts | None:
    """{op} has INT4 weights with one scale per channel; {runtime} takes one scale for all of them."""
    weights = asked.weights
    if weights is None or weights.dtype is not DType.INT4 or weights.quant is None or not weights.quant.per_channel:
        return None
    return _who(asked)


def scales_are_kept(asked: Question) -> Facts | None:
    """'{tensor}', an int8 input of {op}, has another scale or zero point than the output; {runtime} copies bytes and
    refuses that."""
    output = asked.graph.output_of(asked.op)
    if output.dtype is not DType.INT8 or output.quant is None:
        return None
    for index in asked.op.inputs:
        tensor = asked.graph.tensors[index] if index >= 0 else None
        if tensor is None or tensor.dtype is not DType.INT8 or tensor.quant is None:
            continue
        same = tensor.quant.scale[0] == output.quant.scale[0]
        if not same or tensor.quant.zero_point[0] != output.quant.zero_point[0]:
            return {**_who(asked), "tensor": tensor.short_name}
    return None


def inputs_share_a_scale(asked: Question) -> Facts | None:
    """The int8 inputs of {op} have different scales or zero points ('{tensor}'); {runtime} adds them as they are and
    refuses that."""
    found = [asked.graph.tensors[i] for i in asked.op.inputs if i >= 0]
    quantized = [(t, t.quant) for t in found if t.dtype is DType.INT8 and t.quant is not None]
    for tensor, quant in quantized[1:]:
        first = quantized[0][1]
        if quant.scale[0] != first.scale[0] or quant.zero_point[0] != first.zero_point[0]:
            return {**_who(asked), "tensor": tensor.short_name}
    return None


def weights_are_quantized(asked: Question) -> Facts | None:
    """The {dtype} weights of {op} carry no scale; {runtime} needs one, or one per output channel."""
    weights, data = asked.weights, asked.data
    if weights is None or data is None or data.dtype.is_float or weights.quant is not None:
        return None
    return {**_who(asked), "dtype": weights.dtype.value}


def int16_is_symmetric(asked: Question) -> Facts | None:
    """'{tensor}' of {op} is INT16 with zero point {zero_point}; {runtime} takes int16 with zero point 0 only."""
    for index in (*asked.op.inputs, *asked.op.outputs):
        tensor = asked.graph.tensors[index] if index >= 0 else None
        if tensor is None or tensor.dtype is not DType.INT16 or tensor.quant is None:
            continue
        if tensor.quant.zero_point[0] != 0:
            facts = {"tensor": tensor.short_name, "zero_point": int(tensor.quant.zero_point[0])}
            return {**_who(asked), **facts}
    return None


def softmax_output_is_standard(asked: Question) -> Facts | None:
    """The int8 output of {op} has scale {scale} and zero point {zero_point}; {runtime} writes 1/256 and -128 only."""
    output = asked.graph.output_of(asked.op)
    if output.dtype is not DType.INT8 or output.quant is None:
        return None
    scale, zero_point = float(output.quant.scale[0]), int(output.quant.zero_point[0])
    if scale == 1 / 256 and zero_point == -128:
        return None
    return {**_who(asked), "scale": scale, "zero_point": zero_point}


NAMED: Mapping[str, Rule] = MappingProxyType(
    {
        rule.__name__: rule
        for rule in (
            unsupported_by_cmsis_nn_per_channel,
            int4_weights_have_one_scale,
            scales_are_kept,
            inputs_share_a_scale,
            weights_are_quantized,
            int16_is_symmetric,
            softmax_output_is_standard,
        )
    }
)
"""Rules by the names that tables write."""
