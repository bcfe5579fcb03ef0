"""Deliberate faults in elections where a disk is slow or a replica cannot lead."""

from typing import Any
from unittest.mock import patch

import msgspec

from twisted_bazaar.consensus import candidacy, canvass, outbox
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.frontend.election import leadership

from .mutants import mutant

__all__: list[str] = []


@mutant(leadership.Leadership, "campaigned")
def a_suspect_makes_all_wait(original: Any, self: Any, replica: int, reply: Any, now: float) -> Any:
    if reply is not None and reply.unable:
        reply = msgspec.structs.replace(reply, unable="", leader=-1)
    return original(self, replica, reply, now)


@mutant(leadership.Leadership, "_all_wait")
def one_that_has_just_started_makes_all_wait(
    original: Any, self: Any, replica: int, reply: Any, now: float
) -> bool:
    return not reply.unable


@mutant(leadership.Leadership, "nominee")
def one_that_fails_is_asked_before_those_that_had_no_turn(
    original: Any, self: Any, now: float
) -> Any:
    self._had_turn = {
        replica for replica in self._had_turn if self._not_before.get(replica, 0.0) > now
    }
    return original(self, now)


@mutant(Replica, "_stand")
def the_term_is_raised_at_each_nomination(
    original: Any, self: Any, asking: Any, term: int, now: float
) -> None:
    self._candidacy = None
    original(self, asking, term, now)


@mutant(candidacy.Candidacy, "over")
def a_candidate_is_not_patient_with_disks(
    original: Any, self: Any, own_disk: float, now: float
) -> bool:
    return bool(now - self._began > 0.3)


@mutant(Replica, "_stand", part_of="a_candidate_is_not_patient_with_disks")
def and_keeps_no_votes(original: Any, self: Any, asking: Any, term: int, now: float) -> None:
    self._candidacy = None
    original(self, asking, term, now)


@mutant(candidacy.Candidacy, "refused")
def a_candidate_keeps_a_term_whose_votes_are_split(
    original: Any, self: Any, peer: int, ask_at: float
) -> None:
    self.not_voted(peer, ask_at)


@mutant(outbox.Outbox, "tick")
def a_follower_is_not_heard_while_it_writes(
    original: Any, self: Any, contact: float, *more: Any
) -> None:
    original(self, float("-inf"), *more)


@mutant(outbox.Outbox, "tick")
def what_is_being_written_is_acknowledged(
    original: Any, self: Any, contact: float, decline: float, log: Any, term: int
) -> None:
    with patch.object(log, "durable", log.last_index):
        original(self, contact, decline, log, term)


@mutant(canvass.Canvass, "others_elect")
def one_whose_disk_hangs_stands(original: Any, self: Any, disk: float) -> bool:
    return False


@mutant(Replica, "follow")
def a_front_ends_word_raises_the_term(original: Any, self: Any, now: float) -> None:
    self._adopt(self.term + 1)
