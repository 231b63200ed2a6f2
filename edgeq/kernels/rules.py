"""Rules that several rows share. A rule's docstring is the message that users read."""

from __future__ import annotations

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import arithmetic
from edgeq.kernels.contract import Facts, Rule


def shapes_are_static(graph: Graph, op: Op) -> Facts | None:
    """Tensor '{tensor}' has an open dimension in {signature}: export the model with fixed shapes (only the
    batch dimension may be open; it is frozen to 1)."""
    for index in (*op.inputs, *op.outputs):
        tensor = graph.tensors[index] if index >= 0 else None
        if tensor is not None and -1 in tensor.shape_signature[1:]:
            return {"tensor": tensor.short_name, "signature": list(tensor.shape_signature)}
    return None


def nothing_is_empty(graph: Graph, op: Op) -> Facts | None:
    """Tensor '{tensor}' of shape {shape} has no elements: there is nothing to compute."""
    for index in (*op.inputs, *op.outputs):
        tensor = graph.tensors[index] if index >= 0 else None
        if tensor is not None and tensor.elements == 0:
            return {"tensor": tensor.short_name, "shape": list(tensor.shape)}
    return None


def types(inputs: tuple[tuple[DType, ...], ...], outputs: tuple[DType, ...]) -> Rule:
    """A rule on element types: for each input position the allowed ones (the last repeats), and the output's."""

    def types_are_supported(graph: Graph, op: Op) -> Facts | None:
        """Tensor '{tensor}' is {dtype}, and this operator's kernels take {allowed} there: {hint}."""
        for position, index in enumerate(op.inputs):
            if index >= 0:
                allowed = inputs[min(position, len(inputs) - 1)]
                if graph.tensors[index].dtype not in allowed:
                    return {**_type_facts(graph.tensors[index], allowed), "position": position}
        for index in op.outputs:
            if graph.tensors[index].dtype not in outputs:
                return {**_type_facts(graph.tensors[index], outputs), "position": len(op.inputs)}
        return None

    return types_are_supported


def _type_facts(tensor: Tensor, allowed: tuple[DType, ...]) -> Facts:
    if allowed == (DType.FLOAT32,):
        hint = (
            "a float operator needs float weights; run `edgeq convert` with a representative dataset to quantize it all"
        )
    elif tensor.dtype.is_float:
        hint = "this layer is not quantized; run `edgeq convert` with a representative dataset"
    elif tensor.dtype is DType.UINT8:
        hint = "uint8 quantization is the older scheme; convert the float model again to int8"
    elif tensor.is_constant and tensor.dtype is DType.INT4:
        hint = "there are 4-bit weights for convolutions and fully-connected layers; convert with 8-bit weights"
    else:
        hint = "convert the float model again with `edgeq convert`"
    names = " or ".join(d.value for d in allowed)
    return {"tensor": tensor.short_name, "dtype": tensor.dtype.value, "allowed": names, "hint": hint}


def quantization_is_usable(*positions: int) -> Rule:
    """A rule: these inputs and all outputs carry one finite, positive scale per tensor."""

    def quantization_is_per_tensor(graph: Graph, op: Op) -> Facts | None:
        """Tensor '{tensor}' must have one finite, positive scale and zero point, but {found}: convert the model
        again."""
        tensors = [t for p in positions if (t := graph.input_of(op, p)) is not None]
        for tensor in (*tensors, *(graph.tensors[i] for i in op.outputs)):
            if tensor.quant is None:
                return {"tensor": tensor.short_name, "found": "it is not quantized"}
            if tensor.quant.per_channel:
                return {"tensor": tensor.short_name, "found": f"it has {tensor.quant.scale.size} scales"}
            if not arithmetic.usable(tensor.quant):
                return {"tensor": tensor.short_name, "found": f"its scale is {float(tensor.quant.scale[0])}"}
            low, high = _RANGE.get(tensor.dtype, (-(1 << 31), (1 << 31) - 1))
            if not low <= int(tensor.quant.zero_point[0]) <= high:
                found = f"its zero point {int(tensor.quant.zero_point[0])} lies outside {low}..{high}"
                return {"tensor": tensor.short_name, "found": found}
        return None

    return quantization_is_per_tensor


_RANGE = {DType.INT8: (-128, 127), DType.UINT8: (0, 255), DType.INT16: (-32768, 32767)}


def constant(position: int, what: str) -> Rule:
    """A rule: the input at `position` is in the file, where the operator has it."""

    def input_is_constant(graph: Graph, op: Op) -> Facts | None:
        """Its {what} ('{tensor}') are computed while the network runs; edgeq needs them in the file: freeze the
        model's variables and export it again."""
        tensor = graph.input_of(op, position)
        if tensor is None or tensor.is_constant:
            return None
        return {"tensor": tensor.short_name, "what": what}

    return input_is_constant


def arity(least: int, most: int, outputs: int = 1) -> Rule:
    """A rule: the number of inputs and outputs."""

    def arity_is_right(graph: Graph, op: Op) -> Facts | None:
        """It has {inputs} inputs and {outputs} outputs, which is not {kind}: the file is damaged or was made by a
        tool that means something else."""
        given = [i for i in op.inputs[:least] if i >= 0]
        if len(given) < least or len(op.inputs) > most or len(op.outputs) != outputs:
            return {"inputs": len(op.inputs), "outputs": len(op.outputs), "kind": op.kind}
        return None

    return arity_is_right


def activation_is_known(graph: Graph, op: Op) -> Facts | None:
    """The fused activation {activation} has no kernel: edgeq has NONE, RELU, RELU6 and RELU_N1_TO_1."""
    activation = op.text("fused_activation_function", "NONE")
    if activation in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"):
        return None
    return {"activation": activation}


def activation_range_fits(graph: Graph, op: Op) -> Facts | None:
    """The output's scale {scale} is too fine for {activation}: its limit is more than 2**31 steps away, which the
    reference refuses; convert the model again."""
    activation = op.kind if op.kind in _LIMITS else op.text("fused_activation_function", "NONE")
    scale = float(arithmetic.scale_of(graph.output_of(op)))
    if _LIMITS.get(activation, 0.0) / scale < (1 << 31) - 1024:  # 1024: float32 rounding and the zero point
        return None
    return {"activation": activation, "scale": scale}


_LIMITS = {"RELU6": 6.0, "RELU_N1_TO_1": 1.0}


def factor_is_defined(*positions: int) -> Rule:
    """A rule: the product of these inputs' scales over the output's stays where a Q31 multiplier has a meaning."""

    def effective_scale_is_defined(graph: Graph, op: Op) -> Facts | None:
        """The scales of its tensors make a factor of {factor}; from 2**30 on the reference's arithmetic is undefined:
        convert the model again."""
        factor = 1.0 / float(arithmetic.scale_of(graph.output_of(op)))
        for position in positions:
            tensor = graph.input_of(op, position)
            if tensor is not None and tensor.quant is not None:
                factor *= float(tensor.quant.scale.max())
        return None if factor < _LEAST_UNDEFINED_FACTOR else {"factor": f"{factor:.3g}"}

    return effective_scale_is_defined


_LEAST_UNDEFINED_FACTOR = float((1 << 30) - 64)  # less than 2**30 even after rounding to 31 bits or to float32


def rank(position: int, allowed: tuple[int, ...]) -> Rule:
    """A rule: how many dimensions an input has."""

    def rank_is_supported(graph: Graph, op: Op) -> Facts | None:
        """Tensor '{tensor}' has the shape {shape}; this kernel takes {allowed} dimensions."""
        tensor = graph.input_of(op, position)
        if tensor is None or len(tensor.shape) in allowed:
            return None
        names = " or ".join(map(str, allowed))
        return {"tensor": tensor.short_name, "shape": list(tensor.shape), "allowed": names}

    return rank_is_supported


def activations_come_from_the_arena(graph: Graph, op: Op) -> Facts | None:
    """All its inputs are constants: fold it when exporting the model."""
    if any(i >= 0 and not graph.tensors[i].is_constant for i in op.inputs):
        return None
    return {}


def same_quantization(graph: Graph, op: Op) -> Facts | None:
    """Input '{tensor}' has scale {scale} and zero point {zero_point}, the output {out_scale} and {out_zero_point};
    {kind} moves bytes and needs the same on both sides: requantize first."""
    out = graph.output_of(op)
    tensor = graph.input_of(op, 0)
    if tensor is None or tensor.quant is None or out.quant is None:
        return None
    if arithmetic.scale_of(tensor) == arithmetic.scale_of(out) and arithmetic.zero_point_of(
        tensor
    ) == arithmetic.zero_point_of(out):
        return None
    return {
        "tensor": tensor.short_name,
        "scale": float(arithmetic.scale_of(tensor)),
        "zero_point": arithmetic.zero_point_of(tensor),
        "out_scale": float(arithmetic.scale_of(out)),
        "out_zero_point": arithmetic.zero_point_of(out),
        "kind": op.kind,
    }
