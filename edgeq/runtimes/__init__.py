"""What runs models on devices: operator tables as data, verdicts with the rules that decide, TFLM's arena."""

from edgeq.runtimes.judge import judge
from edgeq.runtimes.table import Operator, Runtime, load, load_file, names
from edgeq.runtimes.tflm_arena import ArenaEstimate, estimate
from edgeq.runtimes.tflm_export import export, identifier, require_export
from edgeq.runtimes.tflm_scratch import Isa
from edgeq.runtimes.verdict import RuntimeReport, Verdict

__all__ = [
    "ArenaEstimate",
    "Isa",
    "Operator",
    "Runtime",
    "RuntimeReport",
    "Verdict",
    "estimate",
    "export",
    "identifier",
    "judge",
    "load",
    "load_file",
    "names",
    "require_export",
]
