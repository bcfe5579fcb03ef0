"""Runs a plan: faults for a while, then none; then everything must recover."""

import traceback
from collections.abc import Callable, Mapping
from typing import NamedTuple
from unittest.mock import patch

from twisted_bazaar import leases
from twisted_bazaar.errors import InvariantBroken, Malformed

from . import (
    batch_scenarios,  # noqa: F401 - they declare themselves
    cache_scenarios,  # noqa: F401
    client_scenarios,  # noqa: F401
    condition_scenarios,  # noqa: F401
    engine_scenarios,  # noqa: F401
    identity_scenarios,  # noqa: F401
    lease_scenarios,  # noqa: F401
    membership_scenarios,  # noqa: F401
    operation_scenarios,  # noqa: F401
    proposal_scenarios,  # noqa: F401
    quote_scenarios,  # noqa: F401
    sending_scenarios,  # noqa: F401
    snapshot_scenarios,  # noqa: F401
    term_scenarios,  # noqa: F401
    trade_scenarios,  # noqa: F401
)
from .bazaar import SimulatedBazaar
from .election_scenarios import bound, committed, keeps_its_place, slow_disks
from .engine_bazaar import EngineBazaar
from .engine_lanes import ManyBazaar
from .faults import apply
from .members import TIMING
from .network import LATE_SECONDS
from .plan import FAULTS_END_SECONDS, LONGEST_FAULT_SECONDS, Plan
from .scenarios import SCENARIOS
from .truth import Violation
from .world import World

__all__ = ["Outcome", "run", "shrink"]

QUIET_SECONDS = 2.0
"""Within this time after the last fault trades flow again (invariant 11)."""
DRAIN_SECONDS = 3.5
"""Within this time every client has its answer, and all logs are the same."""


class Outcome(NamedTuple):
    """How a run ended."""

    plan: Plan
    violation: Violation | None
    events: int
    counts: dict[str, int]
    terms: int
    trace: list[str]


def run(plan: Plan, traced: bool = False) -> Outcome:
    """Run `plan` from its beginning to its end, or to the first violation."""
    with patch.object(leases, "MAX_DRIFT", plan.drift):
        return _outcome(plan, traced)


def _outcome(plan: Plan, traced: bool) -> Outcome:
    world = World(plan.seed, traced)
    make = (SimulatedBazaar, EngineBazaar, ManyBazaar)[min(plan.partitions, 2)]
    bazaar = make(
        world,
        replicas=plan.replicas,
        frontends=plan.frontends,
        confused=plan.confused,
        clients=plan.clients,
        batch=plan.batch,
        slow=plan.slow,
        catalogs=plan.catalogs,
        caches=plan.caches,
        wild_clocks=plan.wild_clocks,
        mixed=plan.mixed,
        stale=plan.stale,
        operators=plan.operators,
        **({"changes": True} if plan.changes else {}),
        **({"partitions": plan.partitions} if plan.partitions > 1 else {}),
    )
    violation: Violation | None = None
    try:
        _run(plan, world, bazaar)
    except Violation as found:
        violation = found
    except (InvariantBroken, Malformed) as found:
        # No process here sends what is malformed: it was taken for a part of another log.
        violation = Violation(3, f"a replica stops itself: {found}")
    except Exception as found:
        world.say("truth", traceback.format_exc())
        violation = Violation(0, f"a process breaks: {found!r}")
    if violation is not None:
        world.say("truth", str(violation))
    truth = bazaar.truth
    return Outcome(plan, violation, world.events, truth.counts, truth.terms, world.trace or [])


def _run(plan: Plan, world: World, bazaar: SimulatedBazaar) -> None:
    bazaar.start()
    if plan.scenario:
        SCENARIOS[plan.scenario](bazaar)
    for fault in plan.faults:
        world.after(fault.at, apply, fault, bazaar)
    if plan.faults:
        world.run(FAULTS_END_SECONDS)
    if plan.disks and not bazaar.lost:
        # Front-ends that are confused, or do not agree, have several stand at once: while one
        # writes its vote, no other can know, and each takes the place of the one before.
        slower = 3.0 if plan.confused or plan.frontends > 1 else 1.5
        _slow_disks(plan.disks, slower, world, bazaar)
    if not bazaar.lost:
        _recover(world, bazaar, plan)


def _slow_disks(write: float, slower: float, world: World, bazaar: SimulatedBazaar) -> None:
    """Other faults stop, and every disk is slow for long: a leader that crashes is replaced, and
    the next one stays."""
    world.say("fault", f"no more, but each write takes {write} s")
    for recruiter in bazaar.recruiters:
        recruiter.retire()
    bazaar.heal()
    world.run(world.now + LONGEST_FAULT_SECONDS)
    bazaar.heal()
    world.run(world.now + QUIET_SECONDS)
    slow_disks(bazaar, write)
    if leader := bazaar.leader():
        bazaar.crash(leader, 0.4)
    leading = committed(bazaar, slower * bound(write))
    keeps_its_place(bazaar, leading, 1.0 + 4 * write)


def _recover(world: World, bazaar: SimulatedBazaar, plan: Plan) -> None:
    """Faults stop: everything must recover, and stay so."""
    world.say("fault", "no more")
    bazaar.heal()
    if plan.faults:
        # A crash or a pause may still begin after this: they all have ended by then.
        world.run(world.now + LONGEST_FAULT_SECONDS)
        bazaar.heal()
    for operator in (*bazaar.operators, *bazaar.recruiters):
        operator.retire()
    before = dict(bazaar.truth.counts)
    # Where leases differed, the longest of them is waited for, on the slowest clock.
    quiet = QUIET_SECONDS * (2.0 if plan.mixed else 1.0)
    if plan.operators:
        # All may be halted until an operator is answered.
        quiet += TIMING.deadline
    _soon(world, quiet, lambda: _check_flows(bazaar, before, quiet))
    # One that has just been removed may have led until now.
    _soon(world, quiet, lambda: _check_led(bazaar))
    _check_sticky(world, bazaar)
    for client in bazaar.clients:
        client.idle = True
    _soon(world, DRAIN_SECONDS, lambda: _check_converged(bazaar))
    if plan.faults:
        # What was late by seconds has come by then.
        world.run(world.now + LATE_SECONDS)


def _soon(world: World, seconds: float, check: Callable[[], None]) -> None:
    """Let time pass until `check` raises no violation, but no longer than `seconds`."""
    deadline = world.now + seconds
    while True:
        world.run(min(deadline, world.now + 0.25))
        try:
            check()
        except Violation:
            if world.now >= deadline:
                raise
        else:
            return


def _check_flows(bazaar: SimulatedBazaar, before: Mapping[str, int], quiet: float) -> None:
    counts = bazaar.truth.counts
    if counts["placed"] == before["placed"]:
        raise Violation(11, f"no trade in {quiet} s without faults")
    if counts["hit"] + counts["missed"] == before["hit"] + before["missed"]:
        raise Violation(11, f"no lookup answered in {quiet} s without faults")
    bazaar.check_members()
    for name in bazaar.without_lease():
        raise Violation(11, f"{name} has no lease {quiet} s after the faults")


def _check_led(bazaar: SimulatedBazaar) -> None:
    if not all(bazaar.leading()):
        raise Violation(11, "no replica leads")


def _check_sticky(world: World, bazaar: SimulatedBazaar) -> None:
    """No nomination, of any replica by any front-end, deposes a leader that works."""
    leader, terms = bazaar.leading(), bazaar.truth.terms
    for frontend in bazaar.frontends:
        for order in bazaar.orders.values():
            bazaar.nominate(frontend.name, order.name)
            world.run(world.now + 0.05)
    if (bazaar.leading(), bazaar.truth.terms) != (leader, terms):
        raise Violation(11, f"{', '.join(leader)} led and was deposed by a nomination")


def _check_converged(bazaar: SimulatedBazaar) -> None:
    for operator in bazaar.operators:
        if not operator.done:
            raise Violation(11, f"{operator.name} cannot resume trading")
    for client in bazaar.clients:
        if client.waiting:
            raise Violation(11, f"{client.name} waits for {client.waiting} answers")
    bazaar.check_converged()


def shrink(plan: Plan, runs: int = 200) -> Plan:
    """A plan with fewer faults that still breaks the same invariant."""
    violation = run(plan).violation
    if violation is None:
        return plan
    smaller = plan
    size = max(1, len(plan.faults) // 2)
    while runs > 0 and size:
        for start in range(0, len(smaller.faults), size):
            faults = smaller.faults[:start] + smaller.faults[start + size :]
            candidate = smaller._replace(faults=faults)
            runs -= 1
            found = run(candidate).violation
            if found is not None and found.invariant == violation.invariant:
                smaller = candidate
                break
        else:
            size //= 2
    return smaller
