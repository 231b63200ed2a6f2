"""What convolutions and pooling share: a window that slides over a plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from edgeq.graph import Graph, Op, Tensor
from edgeq.kernels import arithmetic
from edgeq.kernels.contract import Facts, Rule


@dataclass(frozen=True)
class Window:
    """The numbers of `edgeq_window`, in its order."""

    batches: int
    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    filter_h: int
    filter_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_h: int
    pad_w: int

    @property
    def positions(self) -> int:
        """Output positions over all batches."""
        return self.batches * self.out_h * self.out_w

    @property
    def is_pointwise(self) -> bool:
        """1×1, every input position used once: a matrix product."""
        return (self.filter_h, self.filter_w, self.stride_h, self.stride_w) == (1, 1, 1, 1)

    def transposed(self) -> Window:
        """The same window with height and width exchanged."""
        pairs = [
            (n, n[:-1] + ("w" if n[-1] == "h" else "h")) for n in self.__dataclass_fields__ if n[-2:] in ("_h", "_w")
        ]
        return replace(self, **{name: getattr(self, other) for name, other in pairs})

    def initializer(self) -> str:
        """As a C initializer."""
        return "{" + ", ".join(str(getattr(self, name)) for name in self.__dataclass_fields__) + "}"


def window_of(inp: Tensor, out: Tensor, op: Op, filter_h: int, filter_w: int) -> Window:
    """The window of a convolution or pooling operator; of a stripe of one, the option `pad_h` says what is padded above
    it, and its height what is read."""
    stride_h, stride_w = op.integer("stride_h", 1), op.integer("stride_w", 1)
    dilation_h, dilation_w = op.integer("dilation_h_factor", 1), op.integer("dilation_w_factor", 1)
    same = op.text("padding") == "SAME"
    above = arithmetic.same_padding(inp.shape[1], filter_h, stride_h, dilation_h, out.shape[1]) if same else 0
    n, in_h, in_w, in_c = inp.shape
    _, out_h, out_w, out_c = out.shape
    return Window(
        batches=n,
        in_h=in_h,
        in_w=in_w,
        in_c=in_c,
        out_h=out_h,
        out_w=out_w,
        out_c=out_c,
        filter_h=filter_h,
        filter_w=filter_w,
        stride_h=stride_h,
        stride_w=stride_w,
        dilation_h=dilation_h,
        dilation_w=dilation_w,
        pad_h=op.integer("pad_h", above),
        pad_w=arithmetic.same_padding(in_w, filter_w, stride_w, dilation_w, out_w) if same else 0,
    )


def geometry(filter_from_options: bool) -> Rule:
    """A rule: sizes, strides and padding belong together."""

    def geometry_is_consistent(graph: Graph, op: Op) -> Facts | None:
        """Input {in_shape}, filter {filter}, stride {stride}, dilation {dilation} and padding {padding} give
        {expected}, but the file says {out_shape}: the file is damaged."""
        inp, out = graph.input_of(op, 0), graph.output_of(op)
        assert inp is not None
        if filter_from_options:
            size = (op.integer("filter_height"), op.integer("filter_width"))
        else:
            weights = graph.input_of(op, 1)
            assert weights is not None
            size = (weights.shape[1], weights.shape[2])
        stride = (op.integer("stride_h"), op.integer("stride_w"))
        dilation = (op.integer("dilation_h_factor", 1), op.integer("dilation_w_factor", 1))
        padding = op.text("padding")
        expected: tuple[int, ...] = ()
        sound = len(inp.shape) == 4 and len(out.shape) == 4 and padding in ("SAME", "VALID")
        if sound and min(*stride, *dilation, *size) > 0:
            expected = tuple(
                arithmetic.output_size(inp.shape[1 + i], size[i], stride[i], dilation[i], padding) for i in (0, 1)
            )
            if "pad_h" in op.options:  # a stripe: rows as they are cut
                expected = (out.shape[1], expected[1])
            if expected == out.shape[1:3] and out.shape[0] == inp.shape[0] and min(expected) > 0:
                return None
        return {
            "in_shape": list(inp.shape),
            "filter": list(size),
            "stride": list(stride),
            "dilation": list(dilation),
            "padding": padding,
            "expected": list(expected),
            "out_shape": list(out.shape),
        }

    return geometry_is_consistent


def activation_fields(op: Op, out: Tensor) -> Mapping[str, str]:
    """`act_min` and `act_max` of the fused activation."""
    low, high = arithmetic.activation_range(op.text("fused_activation_function", "NONE"), out)
    return MappingProxyType({"act_min": str(low), "act_max": str(high)})
