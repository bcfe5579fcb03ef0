"""Deliberate faults in leases, caches and floors (see `mutants`)."""

from typing import Any

import msgspec

from twisted_bazaar import backoff, leases
from twisted_bazaar.catalog import projection, publisher, subscribers
from twisted_bazaar.consensus import leader
from twisted_bazaar.consensus.leader import LeaderState
from twisted_bazaar.consensus.learners import Learners
from twisted_bazaar.frontend.cache import floors
from twisted_bazaar.frontend.lookups.queue import LookupQueue

from .mutants import mutant

__all__: list[str] = []

FOR_EVER = 1e9


@mutant(floors.Floors, "push")
def a_lease_is_counted_from_receipt(original: Any, self: Any, push: Any, now: float) -> Any:
    reply = original(self, push, now)
    if push.life == self.life and push.stamp is not None:
        self._lease.until = max(self._lease.until, now + push.seconds)
    return reply


@mutant(publisher.Publisher, "apply", part_of="a_lease_is_counted_from_receipt")
def and_by_a_catalog(original: Any, self: Any, message: Any, ticket: Any, now: float) -> None:
    original(self, message, ticket, now)
    if message.stamp is not None and message.stamp.life == self._lease.life:
        self._lease.until = max(self._lease.until, now + message.lease)


@mutant(leases.Lease, "granted")
def a_lease_of_an_earlier_life_is_good(
    original: Any, self: Any, stamp: Any, seconds: float
) -> None:
    if stamp is not None:
        stamp = leases.Stamp(self.life, stamp.at_seconds)
    original(self, stamp, seconds)


@mutant(leases.Lease, "alive")
def a_lease_never_ends(original: Any, self: Any, now: float) -> bool:
    return self.until > 0


@mutant(publisher.Publisher, "_show")
def a_catalog_without_a_lease_answers(original: Any, self: Any) -> None:
    original(self)
    self.view = publisher.View(self.view.stocks, FOR_EVER)


@mutant(publisher.Publisher, "_begin")
def no_waiting_out_after_a_catalog_restarts(original: Any, self: Any, silent_until: float) -> None:
    original(self, -FOR_EVER)


@mutant(publisher.Publisher, "_show")
def reads_ahead_of_release(original: Any, self: Any) -> None:
    self.view = publisher.View(dict(self._projection.ledger.stocks), self._lease.until)


@mutant(subscribers.Subscribers, "cleared")
def front_ends_are_not_waited_for(original: Any, self: Any, index: int, now: float) -> int:
    return index


@mutant(subscribers.Subscribers, "unreachable")
def a_front_end_that_does_not_answer_is_forgotten(
    original: Any, self: Any, outgoing: Any, now: float
) -> None:
    self._by_life.pop(outgoing.push.life, None)


@mutant(subscribers.Subscribers, "unreachable")
def a_holder_that_owes_an_answer_is_renewed(
    original: Any, self: Any, outgoing: Any, now: float
) -> None:
    original(self, outgoing, now)
    subscriber = self._by_life.get(outgoing.push.life)
    if subscriber is not None and subscriber.holder.attached(now):
        subscriber.holder.answered(now, self._timing.lease)


@mutant(Learners, "unreachable")
def a_catalog_that_owes_an_answer_is_renewed(
    original: Any, self: Any, to: str, sent: float, now: float
) -> None:
    original(self, to, sent, now)
    self._learners[to].holder.answered(now, self._timing.lease)


@mutant(subscribers.Subscribers, "_push")
def a_cache_lease_outlives_the_catalogs_own(
    original: Any, self: Any, subscriber: Any, known: Any, lease: Any, now: float
) -> Any:
    everlasting = leases.Lease(1)
    everlasting.until = FOR_EVER
    return original(self, subscriber, known, everlasting, now)


@mutant(Learners, "__init__")
def a_new_leader_waits_for_no_catalog(original: Any, self: Any, **named: Any) -> None:
    original(self, **named)
    self._inherited_until = -FOR_EVER


@mutant(Learners, "released")
def a_leader_does_not_wait_for_catalogs(
    original: Any, self: Any, commit: int, released: int, now: float
) -> int:
    return max(commit, released)


@mutant(Learners, "_may_hold_lease")
def two_catalogs_hold_leases(
    original: Any, self: Any, learner: Any, holds: bool, now: float
) -> bool:
    return True


@mutant(Learners, "answered")
def a_lease_for_a_catalog_that_is_behind(
    original: Any, self: Any, name: str, reply: Any, released: int, now: float
) -> None:
    opened, self.opened = self.opened, 0
    original(self, name, reply, 0, now)
    self.opened = opened


@mutant(floors.Floors, "alive")
def a_front_end_without_a_lease_uses_its_cache(original: Any, self: Any, now: float) -> bool:
    return self.history != ""


@mutant(floors.Floors, "allow")
def floors_are_not_checked(original: Any, self: Any, name: str, version: int, now: float) -> bool:
    return bool(self.alive(now))


@mutant(subscribers.Subscribers, "pushes")
def floors_are_lost_on_resubscription(
    original: Any, self: Any, known: Any, lease: Any, now: float
) -> Any:
    for subscriber in self._by_life.values():
        subscriber.cleared = subscriber.cleared or known.tip - 1
    return original(self, known, lease, now)


@mutant(floors.Floors, "allow", part_of="floors_are_lost_on_resubscription")
def and_what_has_no_floor_is_shown(
    original: Any, self: Any, name: str, version: int, now: float
) -> bool:
    return self.alive(now) and version >= self._floors.get(name, 0)


@mutant(LookupQueue, "answered")
def single_flight_without_the_floor_check(
    original: Any, self: Any, call: Any, *arguments: Any
) -> Any:
    for name, joined in call.joined.items():
        call.waiting[name].extend(joined)
        joined.clear()
    return original(self, call, *arguments)


@mutant(backoff.Backoff, "delayed")
def nobody_is_kept_out(original: Any, self: Any, who: str, seconds: float, now: float) -> None:
    pass


@mutant(subscribers.Subscribers, "cleared")
def a_front_end_that_is_kept_out_is_not_waited_for(
    original: Any, self: Any, index: int, now: float
) -> int:
    there = self._by_life
    self._by_life = {
        life: each
        for life, each in there.items()
        if not self._backoff.left(each.subscription.address, now)
    }
    cleared: int = original(self, index, now)
    self._by_life = there
    return cleared


@mutant(Learners, "released")
def a_catalog_that_is_kept_out_is_not_waited_for(
    original: Any, self: Any, commit: int, released: int, now: float
) -> int:
    upto: int = original(self, commit, released, now)
    out = self._lease_holder is not None and self.backoff.left(self._lease_holder.name, now)
    return commit if out else upto


@mutant(projection.Projection, "apply")
def a_history_keeps_its_name_when_it_is_cut(original: Any, self: Any, message: Any) -> Any:
    touched = original(self, message)
    self.history = "the log"
    return touched


@mutant(publisher.Publisher, "_granted")
def a_catalog_takes_the_name_of_a_log_that_it_is_ahead_of(
    original: Any, self: Any, message: Any
) -> None:
    original(self, message)
    self._projection.history = message.history


@mutant(floors.Floors, "allow")
def what_no_push_vouched_for_is_shown(
    original: Any, self: Any, name: str, version: int, now: float
) -> bool:
    return self.alive(now) and version >= self._floors.get(name, version + 1)


@mutant(leases, "kept")
def clocks_do_not_drift(original: Any, seconds: float) -> float:
    return seconds


@mutant(leader, "longest_lease")
def a_new_leader_waits_for_its_own_lease_only(original: Any, log: Any, timing: Any) -> float:
    lease: float = timing.lease
    return lease


@mutant(Learners, "released")
def catalogs_that_only_an_earlier_leader_knew_are_not_waited_for(
    original: Any, self: Any, *arguments: Any
) -> int:
    self._knows_all_catalogs = True
    released: int = original(self, *arguments)
    return released


@mutant(Learners, "answered")
def a_catalog_that_another_answers_for_is_not_waited_for(
    original: Any, self: Any, name: str, reply: Any, *arguments: Any
) -> None:
    self._learners[name].life = reply.stamp.life
    original(self, name, reply, *arguments)


@mutant(leases, "kept")
def a_holder_allows_for_its_own_drift_only(original: Any, seconds: float) -> float:
    return seconds * (1 - leases.MAX_DRIFT)


@mutant(leases, "kept")
def a_holder_allows_for_its_grantors_drift_only(original: Any, seconds: float) -> float:
    return seconds / (1 + leases.MAX_DRIFT)


@mutant(publisher.Publisher, "_begin")
def no_waiting_out_after_a_catalog_rebuilds(original: Any, self: Any, now: float) -> None:
    original(self, now)
    if self._projection.beginnings:
        self._silent_since = self._silent_until = -FOR_EVER


@mutant(floors.Floors, "push")
def a_late_push_lowers_a_floor(original: Any, self: Any, push: Any, now: float) -> Any:
    if push.life == self.life:
        self._floors.update(push.floors)
    return original(self, push, now)


@mutant(LeaderState, "_surely_leads")
def a_leader_that_may_have_been_replaced_grants_leases(
    original: Any, self: Any, now: float
) -> bool:
    return True


@mutant(subscribers.Subscribers, "answered")
def a_front_end_is_not_waited_for_before_its_lease_came(
    original: Any, self: Any, outgoing: Any, reply: Any, now: float
) -> None:
    original(self, outgoing, reply, now)
    subscriber = self._by_life.get(outgoing.push.life)
    if subscriber is not None and outgoing.push.stamp is None:
        subscriber.holder.attached_until = now


@mutant(subscribers.Subscribers, "_push")
def what_a_lost_push_said_is_not_said_again(
    original: Any, self: Any, subscriber: Any, known: Any, lease: Any, now: float
) -> Any:
    cleared = subscriber.cleared
    subscriber.cleared = max(cleared, getattr(subscriber, "said", 0))
    push = original(self, subscriber, known, lease, now)
    subscriber.cleared, subscriber.said = cleared, known.tip
    return push


@mutant(publisher.Publisher, "_answer")
def a_catalog_answers_for_what_it_applied(original: Any, self: Any, *asked: Any) -> Any:
    return msgspec.structs.replace(original(self, *asked), released=self._projection.position.index)


@mutant(Learners, "_wait_seconds")
def a_catalog_that_answered_is_waited_for_a_lease_of_this_leader_only(
    original: Any, self: Any, now: float
) -> float:
    lease: float = self._timing.lease
    return lease
