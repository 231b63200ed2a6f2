"""What the choice among the kernels that could serve an operator is for."""

from __future__ import annotations

from enum import Enum

from edgeq.errors import UsageError


class Objective(Enum):
    """What `--optimize` names. Whichever it is, every byte of the outputs is the same.

    Attributes:
        BALANCED: the first row of the table that can serve; the default.
        LATENCY: the fewest estimated cycles; the weights may take twice the model's own.
        SIZE: the least flash: code, each file once, with weights and parameters.
        RAM: the smallest arena, and among rows that reach it the first.
    """

    BALANCED = "balanced"
    LATENCY = "latency"
    SIZE = "size"
    RAM = "ram"

    @classmethod
    def named(cls, name: str | Objective) -> Objective:
        """By its name.

        Raises:
            UsageError: there is none of that name.
        """
        if isinstance(name, Objective):
            return name
        try:
            return cls(name)
        except ValueError:
            raise UsageError(
                f"'{name}' is nothing that can be optimized for",
                where="optimize",
                next_step=f"one of: {', '.join(each.value for each in cls)}",
            ) from None
