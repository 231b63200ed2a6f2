"""MemoryPlan: liveness, in-place, placement. Planned is allocated, to the byte."""

from edgeq.memory.chart import ArenaChart, ChartRow, buffer_label, chart
from edgeq.memory.plan import Buffer, MemoryPlan
from edgeq.memory.planner import plan_memory, verify_plan

__all__ = [
    "ArenaChart",
    "Buffer",
    "ChartRow",
    "MemoryPlan",
    "buffer_label",
    "chart",
    "plan_memory",
    "verify_plan",
]
