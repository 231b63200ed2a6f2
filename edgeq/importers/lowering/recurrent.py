"""LSTM, GRU and RNN, unrolled: matrix products, sums and gates for each time step, which quantize like any others.

Formulas and the order of gates are those of the ONNX operator specification (LSTM-14, GRU-14, RNN-14).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeq.importers.lowering.context import Lowering, Rule
from edgeq.importers.lowering.net import Array

MAX_STEPS = 512
_ACTIVATIONS = {"Sigmoid": "LOGISTIC", "Tanh": "TANH", "Relu": "RELU"}


@dataclass(frozen=True)
class _Cell:
    """One direction's weights: (gates × hidden, inputs), (gates × hidden, hidden), biases (gates × hidden,)."""

    input_weights: Array
    state_weights: Array
    input_bias: Array
    state_bias: Array
    functions: tuple[str, ...]

    @property
    def hidden(self) -> int:
        """Length of the state."""
        return int(self.state_weights.shape[1])


def _recurrent(at: Lowering, gates: int, defaults: tuple[str, ...]) -> None:
    direction = at.node.text("direction", "forward")
    if at.node.integer("layout"):
        raise at.unsupported("layout 1 (batch first) can't be had; export with the time axis first")
    steps, batch, _ = at.shape()
    if steps > MAX_STEPS:
        raise at.unsupported(f"it has {steps} time steps; up to {MAX_STEPS} can be unrolled")
    if at.node.has(4) and not np.all(at.known(4, "its sequence length") == steps):
        raise at.unsupported("its sequences have different lengths")
    if any(at.node.has(i) for i in (7,)) or "clip" in at.node.attributes:
        raise at.unsupported("peepholes and clipping can't be had")
    count = 2 if direction == "bidirectional" else 1
    outputs, states, cells = [], [], []
    for number in range(count):
        backwards = direction == "reverse" or number == 1
        cell = _cell(at, number, gates, defaults)
        made, state, memory = _unrolled(at, cell, number, steps, batch, gates, backwards)
        outputs.append(at.reshape(at.concatenate(made, 0), (steps, 1, batch, cell.hidden)))
        states.append(at.reshape(state, (1, batch, cell.hidden)))
        cells.append(at.reshape(memory, (1, batch, cell.hidden)) if memory else "")
    at.give(at.concatenate(outputs, 1), 0)
    at.give(at.concatenate(states, 0), 1)
    if cells[0]:
        at.give(at.concatenate(cells, 0), 2)


def _cell(at: Lowering, number: int, gates: int, defaults: tuple[str, ...]) -> _Cell:
    weights, states = at.known(1, "its weights")[number], at.known(2, "its weights")[number]
    length = gates * states.shape[1]
    bias = at.known(3, "its bias")[number] if at.node.has(3) else np.zeros(2 * length, np.float32)
    named = at.node.attributes.get("activations") or list(defaults) * 2
    functions = []
    for name in named[number * len(defaults) : (number + 1) * len(defaults)]:
        if name not in _ACTIVATIONS:
            raise at.unsupported(f"its activation {name} can't be had")
        functions.append(_ACTIVATIONS[name])
    return _Cell(weights, states, bias[:length], bias[length:], tuple(functions))


def _unrolled(
    at: Lowering, cell: _Cell, number: int, steps: int, batch: int, gates: int, backwards: bool
) -> tuple[list[str], str, str]:
    """(the state after each step, in the order of time; the last state; the last memory cell of an LSTM)."""
    features = at.shape()[2]
    separate = gates == 3  # GRU: the reset gate lies between the state's product and its bias
    bias = cell.input_bias if separate else cell.input_bias + cell.state_bias
    # The inputs' share of all steps is one product; (steps × batch, gates × hidden)
    shares = at.linear(at.reshape(at.input(), (steps * batch, features)), cell.input_weights, bias)
    state = _initial(at, 5, number, batch, cell.hidden)
    memory = _initial(at, 6, number, batch, cell.hidden) if gates == 4 else ""
    made: list[str] = [""] * steps
    width = gates * cell.hidden
    for step in reversed(range(steps)) if backwards else range(steps):
        share = at.slice(shares, [step * batch, 0], [(step + 1) * batch, width])
        if gates == 4:
            state, memory = _lstm_step(at, cell, share, state, memory)
        elif gates == 3:
            state = _gru_step(at, cell, share, state)
        else:
            total = _add(at, share, _times(at, state, cell.state_weights))
            state = at.op(cell.functions[0], [total], (batch, cell.hidden))
        made[step] = state
    return made, state, memory


def _initial(at: Lowering, position: int, number: int, batch: int, hidden: int) -> str:
    if not at.node.has(position):
        return at.number(np.zeros((batch, hidden)))
    given = at.constant(position)
    if given is not None:
        return at.number(given[number])
    directions = at.shape(position)[0]
    part = at.slice(at.input(position), [number, 0, 0], [number + 1, batch, hidden]) if directions > 1 else None
    return at.reshape(part or at.input(position), (batch, hidden))


def _times(at: Lowering, state: str, weights: Array, bias: Array | None = None) -> str:
    known = at.context.writer.values[state].data
    if known is None:
        return at.linear(state, weights, bias)
    product = known @ weights.T
    return at.number(product if bias is None else product + bias)


def _add(at: Lowering, first: str, second: str) -> str:
    known = at.context.writer.values[second].data
    if known is not None and not known.any():
        return first
    return at.op("ADD", [first, second], at.shape_of(first))


def _mul(at: Lowering, first: str, second: str) -> str:
    return at.op("MUL", [first, second], at.shape_of(first))


def _lstm_step(at: Lowering, cell: _Cell, share: str, state: str, memory: str) -> tuple[str, str]:
    """Gates i, o, f, c: C = f C + i g(c), H = o h(C)."""
    f, g, h = cell.functions
    total = _add(at, share, _times(at, state, cell.state_weights))
    parts = at.split(total, [cell.hidden] * 4, 1)
    shape = at.shape_of(state)
    i, o, forget = (at.op(f, [part], shape) for part in parts[:3])
    fresh = _mul(at, i, at.op(g, [parts[3]], shape))
    known = at.context.writer.values[memory].data
    kept = fresh if known is not None and not known.any() else _add(at, fresh, _mul(at, forget, memory))
    return _mul(at, o, at.op(h, [kept], shape)), kept


def _gru_step(at: Lowering, cell: _Cell, share: str, state: str) -> str:
    """Gates z, r, h: H = (1 - z) h + z H, written as h + z (H - h)."""
    f, g = cell.functions
    hidden, shape = cell.hidden, at.shape_of(state)
    z_share, r_share, h_share = at.split(share, [hidden] * 3, 1)
    weights, bias = cell.state_weights, cell.state_bias
    gates = _times(at, state, weights[: 2 * hidden], bias[: 2 * hidden])
    z_state, r_state = at.split(gates, [hidden] * 2, 1)
    z = at.op(f, [_add(at, z_share, z_state)], shape)
    r = at.op(f, [_add(at, r_share, r_state)], shape)
    if at.node.integer("linear_before_reset"):
        reset = _mul(at, r, _times(at, state, weights[2 * hidden :], bias[2 * hidden :]))
    else:
        reset = _times(at, _mul(at, r, state), weights[2 * hidden :], bias[2 * hidden :])
    fresh = at.op(g, [_add(at, h_share, reset)], shape)
    return _add(at, fresh, _mul(at, z, at.op("SUB", [state, fresh], shape)))


def lstm(at: Lowering) -> None:
    """LSTM."""
    if at.node.integer("input_forget"):
        raise at.unsupported("coupled input and forget gates can't be had")
    _recurrent(at, 4, ("Sigmoid", "Tanh", "Tanh"))


def gru(at: Lowering) -> None:
    """GRU."""
    _recurrent(at, 3, ("Sigmoid", "Tanh"))


def rnn(at: Lowering) -> None:
    """RNN."""
    _recurrent(at, 1, ("Tanh",))


RULES: dict[str, Rule] = {"LSTM": lstm, "GRU": gru, "RNN": rnn}
