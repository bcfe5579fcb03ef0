"""Deliberate faults in changes of the members."""

from typing import Any

import msgspec

from twisted_bazaar.consensus import canvass, identity, leader, membership, nominee, voter
from twisted_bazaar.consensus.entries import Members
from twisted_bazaar.consensus.log import Log

from .mutants import mutant

__all__: list[str] = []


def _only(event: Any, ids: Any) -> Any:
    return msgspec.structs.replace(event, before=ids)


@mutant(membership, "_changed")
def the_voters_change_at_once(original: Any, now: Any, members: Any) -> Any:
    return _only(original(now, members), ())


@mutant(leader.LeaderState, "take_membership")
def only_the_old_majority_commits_a_change(original: Any, self: Any, members: Any, now: Any) -> Any:
    original(self, members, now)
    if self._voters_before:
        self._voters, self._voters_before = self._voters_before, []


@mutant(leader.LeaderState, "take_membership")
def only_the_new_majority_commits_a_change(original: Any, self: Any, members: Any, now: Any) -> Any:
    original(self, members, now)
    self._voters_before = []


@mutant(membership.Membership, "elects")
def one_of_two_majorities_elects(original: Any, self: Any, ids: Any) -> bool:
    return bool(original(_only(self, ()), ids)) or bool(
        self.before and len(set(self.before) & set(ids)) > len(self.before) // 2
    )


@mutant(identity.Identity, "membership")
def who_was_removed_counts(original: Any, self: Any, log: Any) -> Any:
    now = original(self, log)
    first = {member.id: member for member in self.first.members}
    members = first | {member.id: member for member in now.members}
    return msgspec.structs.replace(now, members=tuple(members[id] for id in sorted(members)))


@mutant(identity, "membership_of")
def who_is_joining_counts(original: Any, index: int, event: Members) -> Any:
    members = tuple(msgspec.structs.replace(each, joining=False) for each in event.members)
    return original(index, msgspec.structs.replace(event, members=members))


@mutant(leader.LeaderState, "next_members")
def who_is_joining_counts_before_it_has_anything(
    original: Any, self: Any, commit: int, now: float
) -> Any:
    if self.membership.joining and commit >= self.membership.index and commit >= self.opened:
        return membership.promoted(self.membership, self.membership.joining[0])
    return original(self, commit, now)


@mutant(leader.LeaderState, "next_members")
def a_change_ends_before_it_is_committed(original: Any, self: Any, commit: int, now: float) -> Any:
    return original(self, 1 << 60 if self.membership.before else commit, now)


@mutant(leader.LeaderState, "check_change")
def a_change_begins_before_the_last_one_is_done(original: Any, self: Any, *rest: Any) -> None:
    return None


@mutant(membership, "_changed", part_of="a_change_begins_before_the_last_one_is_done")
def _whatever_is_under_way(original: Any, now: Any, members: Any) -> Any:
    return original(_only(now, ()), members)


@mutant(Log, "truncate")
def an_overwritten_change_counts(original: Any, self: Any, after: int) -> None:
    kept = list(self._memberships)
    original(self, after)
    self._memberships = kept


@mutant(canvass.Canvass, "furthest_membership")
def a_suspect_asks_whom_its_options_name(original: Any, self: Any, log: Any, named: Any) -> Any:
    return named


@mutant(nominee.Nominee, "_check_removed")
def who_was_removed_goes_on(original: Any, self: Any, message: Any) -> None:
    return None


@mutant(voter.Voter, "_check_member", part_of="who_was_removed_goes_on")
def _also_if_its_log_says_so(original: Any, self: Any) -> None:
    return None


@mutant(leader.LeaderState, "forget_removed")
def a_leader_that_was_removed_leads_on(original: Any, self: Any, *rest: Any) -> bool:
    original(self, *rest)
    return False
