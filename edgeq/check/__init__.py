"""FitReport: operators, types, RAM and flash against a target, each rule with its reason."""

from edgeq.check.advice import describe_peak
from edgeq.check.checker import after_build, check, check_many
from edgeq.check.estimate import Estimate, Unknown
from edgeq.check.fit import Budget, DoesNotFit, FitReport, LiveBuffer, OpVerdict, Part, Peak
from edgeq.check.limits import BudgetReport, Finding, Judgement, Limits, judge_limits, read_budgets
from edgeq.check.model_rules import MODEL_RULES, require_runnable
from edgeq.check.survey import Row, Survey, survey

__all__ = [
    "MODEL_RULES",
    "Budget",
    "BudgetReport",
    "DoesNotFit",
    "Estimate",
    "Finding",
    "FitReport",
    "Judgement",
    "Limits",
    "LiveBuffer",
    "OpVerdict",
    "Part",
    "Peak",
    "Row",
    "Survey",
    "Unknown",
    "after_build",
    "check",
    "check_many",
    "describe_peak",
    "judge_limits",
    "read_budgets",
    "require_runnable",
    "survey",
]
