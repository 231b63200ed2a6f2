"""Every error that edgeq raises on purpose.

    EdgeqError                     exit code 5
    ├── UsageError                 2   wrong use: an option, a name, a combination that means nothing
    ├── InputFileError             3   a file that can't be read as what it should be
    │   ├── ModelFileError         3   … a model file
    │   ├── TargetFileError        3   … a target description
    │   ├── BudgetFileError        3   … a file of budgets
    │   └── DataError              3   … representative, labelled or input data
    ├── NegativeResult             1   the work was done and the answer is no (does not fit, not bit-exact)
    │   ├── DoesNotFit         1   … of a deployment, with the FitReport (in `edgeq.check`)
    │   └── UnsupportedError       1   an operator, a type or a target that edgeq can't serve, with the reason
    ├── MissingDependencyError     4   something that must be installed is not there
    └── DeviceError                5   a device, a port or an external tool failed
        ├── PortError              5   … a serial port
        ├── ProtocolError          5   … what came over it
        └── ToolError              5   … an external program, with its own output

An error says what happened, where, and the next step; its facts are fields too, so that a program
doesn't have to read the sentence.
"""

from __future__ import annotations

from typing import ClassVar


class EdgeqError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: one sentence: what is wrong, with the number that shows it.
        where: the file, layer, port or option it is about.
        next_step: what the reader can do now.
        facts: the same as fields, for programs (must be JSON-serialisable).
    """

    exit_code: ClassVar[int] = 5

    def __init__(self, what: str, *, where: str = "", next_step: str = "", **facts: object) -> None:
        self.what = what
        self.where = where
        self.next_step = next_step
        self.facts: dict[str, object] = facts
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  next: {self.next_step}" if self.next_step else head

    def to_json(self) -> dict[str, object]:
        """The error as the `error` object of `--json`."""
        return {
            "type": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "next_step": self.next_step,
            "exit_code": self.exit_code,
            "facts": self.facts,
        }


class UsageError(EdgeqError):
    """Wrong use: an option, a name or a combination of them that means nothing."""

    exit_code = 2


class InputFileError(EdgeqError):
    """A file that is missing, damaged, or not what it should be."""

    exit_code = 3


class ModelFileError(InputFileError):
    """A model file that can't be read as a model."""


class TargetFileError(InputFileError):
    """A target description with an unknown key, a wrong type, a missing value or a cycle."""


class BudgetFileError(InputFileError):
    """A file of budgets with an unknown key, a wrong type, or a limit that can't be meant."""


class DataError(InputFileError):
    """Representative, labelled or input data that doesn't suit the model."""


class NegativeResult(EdgeqError):  # noqa: N818  - it is an answer, not a malfunction
    """The work was done and the answer is no."""

    exit_code = 1


class UnsupportedError(NegativeResult):
    """An operator, a type or a target that edgeq can't serve."""


class MissingDependencyError(EdgeqError):
    """A package or a program that this step needs is not installed."""

    exit_code = 4


class DeviceError(EdgeqError):
    """A device, a port or an external tool failed."""

    exit_code = 5


class PortError(DeviceError):
    """A serial port that can't be opened, is busy, or went away."""


class ProtocolError(DeviceError):
    """The other side of the wire said something that can't be right, or nothing at all."""


class ToolError(DeviceError):
    """An external program failed; its own words are in `facts["stderr"]`."""
