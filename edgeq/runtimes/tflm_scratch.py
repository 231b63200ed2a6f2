"""What TensorFlow Lite Micro's kernels ask of the arena beside their tensors, operator by operator.

Reimplemented from each kernel's preparation in tensorflow/lite/micro/kernels and kernels/cmsis_nn, and from CMSIS-NN's
*_get_buffer_size functions, at the commits that `targets/runtimes/tflm.toml` names. All sizes in bytes, before
alignment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Literal

from edgeq.graph import DType, Graph, Op
from edgeq.runtimes.table import Operator
from edgeq.runtimes.tflm_windows import Window, depthwise_scratch, scratch, transpose_scratch, window_of

Isa = Literal["plain", "dsp", "mve"]
"""What CMSIS-NN was built for: a core without and with the DSP extension, or with Helium."""

_INT = 4
_INT16_TABLE = 2 * 513
"""One lookup table of the int16 softmax."""


@dataclass(frozen=True)
class Requests:
    """Of one operator.

    Attributes:
        persistent: what stays for the life of the interpreter, the kernel's own data first.
        scratch: what is needed while the operator runs.
    """

    persistent: tuple[int, ...] = ()
    scratch: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Asked:
    """One operator in one build.

    Attributes:
        cmsis_nn: built with CMSIS-NN's kernels, for `isa`.
    """

    graph: Graph
    op: Op
    row: Operator
    cmsis_nn: bool
    isa: Isa

    def shape(self, position: int) -> tuple[int, ...]:
        """Of an input, () where it is absent."""
        tensor = self.graph.input_of(self.op, position)
        return tensor.shape if tensor is not None else ()

    def dtype(self, position: int = 0) -> DType | None:
        """Of an input."""
        tensor = self.graph.input_of(self.op, position)
        return tensor.dtype if tensor is not None else None

    @property
    def output(self) -> tuple[int, ...]:
        """The first output's shape."""
        return self.graph.output_of(self.op).shape

    @property
    def window(self) -> Window:
        """The geometry of a convolution."""
        return window_of(self.op, self.shape(self.row.data_input), self.shape(self.row.weights_input), self.output)


def requests(asked: Asked) -> Requests:
    """What the operator's kernel asks for."""
    row = asked.row
    own = row.cmsis_nn_data_bytes if asked.cmsis_nn and row.cmsis_nn_data_bytes else row.data_bytes
    more = _FURTHER.get(asked.op.kind, _nothing)(asked)
    shape = (_INT * (1 + len(asked.output)),) if row.copies_shape else ()
    return Requests(((own,) if own else ()) + shape + more.persistent, more.scratch)


def _nothing(asked: Asked) -> Requests:
    return Requests()


def _conv(asked: Asked) -> Requests:
    data, weights, filters = asked.dtype(), asked.dtype(1), asked.shape(1)
    channels = (_INT * filters[0],) * 2
    if not asked.cmsis_nn:
        return Requests(channels, (prod(filters),) if weights is DType.INT4 else ())
    if data is DType.INT8:
        return Requests(channels, _some(scratch(asked.window, DType.INT8, asked.isa)))
    if data is DType.INT16:
        return Requests(channels, _some(scratch(asked.window, DType.INT16, asked.isa)))
    return Requests()


def _depthwise(asked: Asked) -> Requests:
    data, weights, filters = asked.dtype(), asked.dtype(1), asked.shape(1)
    channels = (_INT * filters[3],) * 2
    if not asked.cmsis_nn:
        return Requests(channels, (prod(filters),) if weights is DType.INT4 else ())
    if data is DType.INT8:
        return Requests(channels, _some(depthwise_scratch(asked.window, weights is DType.INT4, asked.isa)))
    return Requests(channels if data is DType.INT16 else ())


def _transpose_conv(asked: Asked) -> Requests:
    data, filters = asked.dtype(2), asked.shape(1)
    channels = (_INT * filters[0],) * 2
    if data is DType.INT8:
        if asked.cmsis_nn:
            return Requests(channels, transpose_scratch(asked.window, asked.isa))
        return Requests(channels, (_INT * prod(asked.output),))
    if data is DType.INT16:
        return Requests(channels, (8 * prod(asked.output),))
    return Requests(channels)


def _fully_connected(asked: Asked) -> Requests:
    data, weights = asked.dtype(), asked.graph.input_of(asked.op, 1)
    if weights is None or data is DType.FLOAT32:
        return Requests()
    per_channel = weights.quant is not None and weights.quant.per_channel
    persistent = (_INT * weights.shape[0],) * 2 if per_channel else ()
    if not asked.cmsis_nn:
        return Requests(persistent, (weights.elements,) if weights.dtype is DType.INT4 else ())
    if data is not DType.INT8 or weights.dtype is DType.INT4:
        return Requests(persistent)
    depth, outputs = weights.shape[-1], asked.output[-1]
    if len(asked.output) > 2 and depth % 4 == 0:  # runs as a 1x1 convolution
        return Requests(persistent, () if per_channel else (2 * _INT * outputs,))
    if asked.isa != "mve":
        return Requests(persistent)
    # Built for speed, constant weights are summed up once, into memory that stays.
    return Requests((*persistent, _INT * outputs))


def _average_pool(asked: Asked) -> Requests:
    quantized = asked.dtype() in (DType.INT8, DType.INT16)
    if asked.cmsis_nn and quantized and asked.isa == "dsp":
        return Requests((), (_INT * asked.shape(0)[3],))
    return Requests()


def _softmax(asked: Asked) -> Requests:
    return Requests((_INT16_TABLE, _INT16_TABLE) if asked.dtype() is DType.INT16 else ())


def _mean_or_sum(asked: Asked) -> Requests:
    sums = (_INT * prod(asked.output),) if asked.dtype() in (DType.INT8, DType.INT16) else ()
    return Requests((), (*sums, _INT * len(asked.shape(0)), _INT * prod(asked.shape(1))))


def _reduce(asked: Asked) -> Requests:
    return Requests((), (_INT * len(asked.shape(0)), _INT * prod(asked.shape(1))))


def _mirror_pad(asked: Asked) -> Requests:
    return Requests((), (_INT * len(asked.shape(0)),) * 2)


def _add_n(asked: Asked) -> Requests:
    return Requests((40,) if asked.dtype() is DType.INT8 else (), (_INT * len(asked.op.inputs),))


def _only_int8(size: int) -> Callable[[Asked], Requests]:
    def own(asked: Asked) -> Requests:
        return Requests((size,) if asked.dtype() is DType.INT8 else ())

    return own


def _svdf(asked: Asked) -> Requests:
    filters, batches = asked.shape(1)[0], asked.shape(0)[0]
    units = filters // max(1, asked.op.integer("rank", 1))
    if asked.dtype() is not DType.INT8:
        return Requests((), (_INT * batches * filters,))
    sums = (_INT * filters,) if asked.cmsis_nn and asked.isa == "mve" else ()
    return Requests(sums, (_INT * batches * filters, _INT * batches * units))


def _lstm(asked: Asked) -> Requests:
    units = asked.output[-1]
    batches = asked.shape(0)[1 if asked.op.integer("time_major") else 0]
    cell = asked.graph.input_of(asked.op, 19)
    element = 4 if cell is not None and cell.dtype is DType.FLOAT32 else 2
    data = asked.dtype()
    if not asked.cmsis_nn or data is DType.FLOAT32:
        return Requests((), (batches * units * element,) * 4)
    sums = (units * (4 if data is DType.INT8 else 8),) * 8
    return Requests(sums, (batches * units * element,) * 3)


def _batch_matmul(asked: Asked) -> Requests:
    """Both matrices may be transposed into the arena; each transposed one takes a tensor, its shape and its data."""
    tensor_bytes = 12
    rows: list[int] = []
    transposed = ((0, bool(asked.op.integer("adj_x"))), (1, not asked.op.integer("adj_y")))
    for position, needed in transposed:
        tensor = asked.graph.input_of(asked.op, position)
        if tensor is not None and needed:
            rows += [tensor_bytes, _INT * (1 + len(tensor.shape)), tensor.size_bytes]
    shape = _INT * (1 + len(asked.output))
    quantization = (20,) if asked.dtype() is not DType.FLOAT32 else ()
    return Requests((*rows, shape, *quantization))


def _some(size: int) -> tuple[int, ...]:
    return (size,) if size > 0 else ()


_FURTHER: Mapping[str, Callable[[Asked], Requests]] = MappingProxyType(
    {
        "CONV_2D": _conv,
        "DEPTHWISE_CONV_2D": _depthwise,
        "TRANSPOSE_CONV": _transpose_conv,
        "FULLY_CONNECTED": _fully_connected,
        "AVERAGE_POOL_2D": _average_pool,
        "SOFTMAX": _softmax,
        "MEAN": _mean_or_sum,
        "SUM": _mean_or_sum,
        "REDUCE_MAX": _reduce,
        "REDUCE_MIN": _reduce,
        "REDUCE_ALL": _reduce,
        "MIRROR_PAD": _mirror_pad,
        "ADD_N": _add_n,
        "CUMSUM": _only_int8(36),
        "LOG_SOFTMAX": _only_int8(28),
        "SVDF": _svdf,
        "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
        "BATCH_MATMUL": _batch_matmul,
    }
)
