"""What the engine in memory loses when another of its servers takes over."""

import pytest

from twisted_bazaar.engine.memory import MemoryEngine
from twisted_bazaar.engine.shared_log import Lost, Unknown

from .writer import LISTED, Writer


def test_what_was_only_visible_is_lost_when_another_server_takes_over() -> None:
    engine = MemoryEngine("lost", 2)
    writer = Writer(engine.log(1))
    writer.claim()
    writer.append(writer.batch(LISTED))
    engine.replicates = False
    batch = writer.orders(["a"])
    with pytest.raises(Unknown):
        writer.append(batch)
    assert writer.log.find(["a"]).orders
    engine.fail_over()
    assert writer.log.find(["a"]).orders == {}
    engine.replicates = True
    writer.again(batch)
    engine.fail_over()
    assert writer.log.find(["a"]).orders


def test_a_write_that_is_replicated_makes_certain_what_was_visible() -> None:
    engine = MemoryEngine("certain", 1)
    writer = Writer(engine.log(0))
    engine.replicates = False
    with pytest.raises(Unknown):
        writer.claim()
    engine.replicates = True
    writer.beats()
    engine.fail_over()
    assert engine.log(0).snapshot().tail.term == 1


def test_a_claim_that_was_only_visible_leaves_the_old_leader_its_lead() -> None:
    engine = MemoryEngine("claims", 1)
    old, new = Writer(engine.log(0), 1), Writer(engine.log(0), 2)
    old.claim()
    new.follow(new.log.snapshot())
    engine.replicates = False
    with pytest.raises(Unknown):
        new.claim()
    with pytest.raises(Lost):
        old.beats()
    engine.fail_over()
    engine.replicates = True
    old.beats()


def test_what_is_replicated_late_is_not_lost() -> None:
    engine = MemoryEngine("late", 1)
    writer = Writer(engine.log(0))
    engine.replicates = False
    with pytest.raises(Unknown):
        writer.claim()
    engine.replicate()
    engine.fail_over()
    assert engine.log(0).snapshot().tail.term == 1
