"""Which deliberate faults the simulator catches, by which invariant, and how soon.

python -m tests.simulation.mutation [--seeds 300] [NAME ...]
"""

import argparse
import sys
import time
from typing import NamedTuple

from .mutants import MUTANTS, Mutant
from .plan import directed, draw
from .run import run
from .scenarios import SCENARIOS

__all__ = ["Verdict", "hunt", "main"]


class Verdict(NamedTuple):
    """How the hunt for one mutant ended."""

    seeds: int
    """How many schedules it took, or how many were tried in vain."""
    invariant: int | None
    """The invariant that caught it; None: nothing did."""
    what: str


def hunt(mutant: Mutant, seeds: int, base: int = 0) -> Verdict:
    """Run schedules until one catches `mutant`."""
    with mutant.in_force():
        plans = [directed(name, base) for name in SCENARIOS]
        plans += [draw(seed) for seed in range(base, base + seeds)]
        for count, plan in enumerate(plans, 1):
            violation = run(plan).violation
            if violation is not None:
                what = f"{plan.scenario or plan.seed}: {violation}"
                return Verdict(count, violation.invariant, what)
    return Verdict(len(plans), None, "not caught")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutation")
    parser.add_argument("--seeds", type=int, default=300, help="schedules to try for each")
    parser.add_argument("--base", type=int, default=0, help="the first seed")
    parser.add_argument("names", nargs="*", help="only these mutants")
    asked = parser.parse_args()
    missed = 0
    for mutant in MUTANTS.values():
        if asked.names and mutant.name not in asked.names:
            continue
        began = time.process_time()
        verdict = hunt(mutant, asked.seeds, asked.base)
        seconds = time.process_time() - began
        missed += verdict.invariant is None
        print(
            f"{mutant.name:52} {verdict.seeds:5} {seconds:6.1f} s  {verdict.what[:120]}", flush=True
        )
    print(f"{missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
