"""Every strategy of cases by name: the operators that it reaches, comma-separated, and what sets it apart."""

from __future__ import annotations

from conformance import (
    strategies,
    strategies_binary,
    strategies_f32,
    strategies_moves,
    strategies_rows,
    strategies_s16,
    strategies_state,
    strategies_unary,
)
from conformance.cases import Values

OPERATORS: dict[str, Values] = {
    **strategies.CASES,
    **strategies_s16.CASES,
    **strategies_unary.CASES,
    **strategies_moves.CASES,
    **strategies_binary.CASES,
    **strategies_rows.CASES,
    **strategies_state.CASES,
    **strategies_f32.CASES,
}
