"""MemoryPlan: liveness, in-place, placement. Planned is allocated, to the byte."""

from edgeq.memory.arrange import Arrangement, arrange, plan_in_order
from edgeq.memory.chart import ArenaChart, ChartRow, buffer_label, chart
from edgeq.memory.order import find_order, reordered, reordered_program
from edgeq.memory.plan import Buffer, MemoryPlan, Ordering
from edgeq.memory.planner import plan_memory, verify_plan
from edgeq.memory.shrink import arrange_small

__all__ = [
    "ArenaChart",
    "Arrangement",
    "Buffer",
    "ChartRow",
    "MemoryPlan",
    "Ordering",
    "arrange",
    "arrange_small",
    "buffer_label",
    "chart",
    "find_order",
    "plan_in_order",
    "plan_memory",
    "reordered",
    "reordered_program",
    "verify_plan",
]
