"""Simulated schedules keep the invariants, and deliberate faults do not.

`make simulate SEEDS=50000` runs many more.
"""

import os
import warnings
from concurrent.futures import ProcessPoolExecutor

import pytest

from .engine_faults import draw_engine
from .mutants import MUTANTS
from .mutation import hunt
from .plan import directed, draw
from .run import run, shrink
from .scenarios import SCENARIOS

FRESH_SEEDS = 40
CHUNK = 20
FRESH_ENGINE_SEEDS = 5
MUTANT_SEEDS = 120
HINTED_RUNS = 4
"""A hint of `SOONEST` that holds catches its mutant within so many runs."""
SHARES = 4
"""Of so many parts of the mutants each run tries one. They prove the simulator, not the bazaar."""
WORKERS = os.cpu_count() or 1


def failing(seeds: range) -> list[tuple[int, str]]:
    """Those of `seeds` that break an invariant, and which."""
    outcomes = ((seed, run(draw(seed)).violation) for seed in seeds)
    return [(seed, str(violation)) for seed, violation in outcomes if violation is not None]


def test_nothing_is_where_the_log_is_in_an_engine(fresh_seed: int) -> None:
    seeds = range(fresh_seed, fresh_seed + FRESH_ENGINE_SEEDS)
    failures = [
        (seed, partitions, str(violation))
        for partitions in (1, 2)
        for seed in seeds
        if (violation := run(draw_engine(seed, partitions)).violation) is not None
    ]
    assert not failures


def test_nothing_is_lost_doubled_or_oversold_in_fresh_schedules(fresh_seed: int) -> None:
    base = fresh_seed
    chunks = [range(at, at + CHUNK) for at in range(base, base + FRESH_SEEDS, CHUNK)]
    with ProcessPoolExecutor(WORKERS) as pool:
        failures = [failure for found in pool.map(failing, chunks) for failure in found]
    assert not failures, "\n".join(
        f"{what}\nreplay it with: python -m tests.simulation --replay {seed}"
        for seed, what in failures
    )


def check_directed(name: str, seed: int) -> None:
    outcome = run(directed(name, seed), traced=True)
    assert outcome.violation is None, "\n".join(outcome.trace[-40:])


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_random_schedules_meet_too_rarely(name: str, fresh_seed: int) -> None:
    # With even seeds each front-end has a Redis of its own, with odd ones they share one.
    check_directed(name, fresh_seed % 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_what_random_schedules_meet_too_rarely_whoever_shares_a_redis(name: str) -> None:
    for seed in range(2):
        check_directed(name, seed)


def caught(name: str) -> tuple[str, int, str, bool]:
    verdict = hunt(MUTANTS[name], MUTANT_SEEDS, hint=True)
    # Invariant 0 is a process that broke: a mutant that no longer fits the code.
    return name, verdict.seeds, verdict.what, bool(verdict.invariant)


def test_some_deliberate_faults_are_caught(fresh_seed: int) -> None:
    check_caught(list(MUTANTS)[fresh_seed % SHARES :: SHARES])


@pytest.mark.slow
def test_every_deliberate_fault_is_caught() -> None:
    check_caught(list(MUTANTS))


def check_caught(names: list[str]) -> None:
    with ProcessPoolExecutor(WORKERS) as pool:
        verdicts = list(pool.map(caught, names))
    assert not [name for name, _, _, found in verdicts if not found]
    for name, runs, what, _ in verdicts:
        if runs > HINTED_RUNS:
            warnings.warn(f"{name} took {runs} runs: give SOONEST this: {what}", stacklevel=1)


def test_a_seed_always_runs_the_same() -> None:
    first, second = run(draw(7), traced=True), run(draw(7), traced=True)
    assert first.trace == second.trace
    assert (first.events, first.counts) == (second.events, second.counts)


def test_a_failing_schedule_shrinks_to_one_that_fails_in_the_same_way() -> None:
    with MUTANTS["forget_the_keys_on_failover"].in_force():
        plan = next(plan for plan in map(draw, range(100)) if run(plan).violation)
        violation = run(plan).violation
        smaller = shrink(plan, runs=10)
        found = run(smaller).violation
    assert violation is not None
    assert found is not None
    assert found.invariant == violation.invariant
    assert len(smaller.faults) <= len(plan.faults)
