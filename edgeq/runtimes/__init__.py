"""What runs models on devices: operator tables as data, verdicts with the rules that decide, TFLM's arena."""

from edgeq.runtimes.judge import judge
from edgeq.runtimes.table import Operator, Runtime, load, load_file, names
from edgeq.runtimes.tflm_arena import ArenaEstimate, estimate
from edgeq.runtimes.verdict import RuntimeReport, Verdict

__all__ = [
    "ArenaEstimate",
    "Operator",
    "Runtime",
    "RuntimeReport",
    "Verdict",
    "estimate",
    "judge",
    "load",
    "load_file",
    "names",
]
