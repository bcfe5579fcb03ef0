"""Run simulated schedules from the command line."""

import argparse
import sys
import time
from collections import Counter
from functools import partial

from .engine_faults import draw_engine
from .plan import Plan, draw
from .run import run, shrink

__all__ = ["main"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules to run")
    parser.add_argument("--base", type=int, default=0, help="the first seed")
    parser.add_argument("--replay", type=int, help="run this seed alone and print its trace")
    parser.add_argument("--engine", action="store_true", help="with the order log in an engine")
    parser.add_argument("--partitions", type=int, default=1, help="with --engine: how many")
    asked = parser.parse_args()
    drawn = partial(draw_engine, partitions=asked.partitions) if asked.engine else draw
    if asked.replay is not None:
        return replay(drawn(asked.replay))
    began = time.process_time()
    events = terms = 0
    counts: Counter[str] = Counter()
    for seed in range(asked.base, asked.base + asked.seeds):
        outcome = run(drawn(seed))
        events += outcome.events
        terms += outcome.terms
        counts.update(outcome.counts)
        if outcome.violation is not None:
            print(f"seed {seed}: {outcome.violation}")
            flag = f"--engine --partitions {asked.partitions} " if asked.engine else ""
            print(f"replay it with: python -m tests.simulation {flag}--replay {seed}")
            return 1
    seconds = time.process_time() - began
    told = ", ".join(f"{number:,} {what}" for what, number in counts.items())
    print(
        f"{asked.seeds:,} schedules from seed {asked.base}, {events:,} events, {terms:,} terms: "
        f"no violation\n{told}\n"
        f"{seconds:.1f} s of CPU: {events / seconds:,.0f} events/s, "
        f"{asked.seeds / seconds:.1f} schedules/s"
    )
    return 0


def replay(plan: Plan) -> int:
    """Print the trace of one plan, shrunk if it fails."""
    if run(plan).violation is not None:
        plan = shrink(plan)
    outcome = run(plan, traced=True)
    print("\n".join(outcome.trace))
    for fault in plan.faults:
        print(fault)
    print(outcome.violation or "no violation")
    return 1 if outcome.violation else 0


if __name__ == "__main__":
    sys.exit(main())
