"""From a seed that fails, the fewest of its faults with which it still fails the same way."""

from __future__ import annotations

from tests.simulator.faults import Fault
from tests.simulator.parameters import Parameters
from tests.simulator.world import World, plan_of, run


def shrink(parameters: Parameters) -> list[Fault]:
    """Leave one fault out after the other, as long as the same checker complains."""
    world = World(parameters)
    world.form()
    plan = plan_of(parameters, world.timeline.now_us)
    complaint = _complaint(parameters, plan)
    for fault in list(plan):
        fewer = [other for other in plan if other is not fault]
        if complaint and _complaint(parameters, fewer) == complaint:
            plan = fewer
    return plan


def _complaint(parameters: Parameters, plan: list[Fault]) -> str:
    return run(parameters, plan=plan).problem.partition(":")[0]
