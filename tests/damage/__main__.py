"""Damage many folders, or fail the power many times, and count what becomes of them."""

import argparse
import sys
import time

from .crashes import live
from .judge import Lost
from .run import Case, Tally, run

__all__ = ["main"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.damage", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="how many to damage")
    parser.add_argument("--seed", type=int, default=1, help="decides everything")
    parser.add_argument("--case", type=int, help="only this one, and show what it was")
    parser.add_argument("--lives", type=int, help="instead: how many with losses of power")
    asked = parser.parse_args()
    if asked.lives is not None:
        return lose_power(asked.seed, asked.lives)
    numbers = range(asked.files)
    if asked.case is not None:
        numbers = range(asked.case, asked.case + 1)
        show(Case(asked.seed, asked.case))
    began = time.perf_counter()
    try:
        tally = run(asked.seed, numbers)
    except Lost as error:
        print(error)
        return 1
    report(asked.seed, tally, time.perf_counter() - began)
    return 0


def lose_power(seed: int, lives: int) -> int:
    """Live so many lives from seed `seed` on, each with some losses of power."""
    began, judged = time.perf_counter(), 0
    for number in range(seed, seed + lives):
        try:
            judged += live(number).judged
        except Lost as error:
            print(f"{error}\nrepeat it with: python -m tests.damage --seed {number} --lives 1")
            return 1
    seconds = time.perf_counter() - began
    print(
        f"{lives:,} lives from seed {seed}, {judged:,} states of a disk after a loss of power in"
        f" {seconds:.0f} s: nothing acknowledged is lost, and nothing suspect that is whole"
    )
    return 0


def show(case: Case) -> None:
    """What was done in a case."""
    print(f"{case.kind.__name__}, after {len(case.moment.entries)} entries were acknowledged")
    for name in sorted({*case.files, *case.moment.files}):
        was, now = case.moment.files.get(name), case.files.get(name)
        if was != now:
            print(f"--- {name} was\n{(was or b'').decode(errors='replace')}")
            print(f"--- {name} is\n{(now or b'').decode(errors='replace')}")


def report(seed: int, tally: Tally, seconds: float) -> None:
    """The figures, a line for each kind of damage."""
    verdicts = sorted({verdict for counts in tally.values() for verdict in counts}, reverse=True)
    print(f"{'':31}{''.join(f'{verdict:>11}' for verdict in verdicts)}")
    for kind, counts in sorted(tally.items()):
        shown = "".join(f"{counts[verdict] or '':>11}" for verdict in verdicts)
        print(f"{kind.replace('_', ' '):31}{shown}")
    total = sum(sum(counts.values()) for counts in tally.values())
    print(
        f"{total:,} damaged folders from seed {seed} in {seconds:.0f} s ({total / seconds:,.0f} a"
        " second): nothing that was acknowledged is lost without a verdict"
    )


if __name__ == "__main__":
    sys.exit(main())
