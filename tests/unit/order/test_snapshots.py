"""What snapshots leave on a disk that is nearly full."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import Mock

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.fakes.histories import history
from twisted_bazaar.consensus.far_behind import Earlier, EarlierReply, Snapshot, SnapshotReply
from twisted_bazaar.errors import Unusable
from twisted_bazaar.order.snapshots import Outgoing, Taker
from twisted_bazaar.rpc.bounds import MAX_ENTRIES
from twisted_bazaar.rpc.wire import from_wire, to_wire


def at_once(call: Callable[..., Any], *given: Any) -> Deferred[Any]:
    try:
        return succeed(call(*given))
    except Exception:
        return fail()


def replica() -> Mock:
    return Mock(id=1, cluster="c", snapshot_from=2)


def full(path: Path) -> tuple[int, int]:
    path.write_bytes(b"a part")
    raise Unusable("database or disk is full")


def test_a_copy_that_cannot_be_made_is_removed_and_so_are_those_of_before(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "of-before.sqlite").touch()
    index = Mock(copy_to=full)
    outgoing = Outgoing(replica(), Mock(), index, tmp_path, at_once, Random(1), lambda: 0.0, Mock())
    whys: list[Failure] = []
    outgoing.ask(Snapshot(replica=2, cluster="c", to=1)).addErrback(whys.append)
    assert whys[0].check(Unusable)
    assert not list(tmp_path.rglob("*.sqlite"))


def test_a_snapshot_that_does_not_come_whole_is_removed(tmp_path: Path) -> None:
    parts = [
        succeed(
            SnapshotReply(replica=2, copy="x", beginning=b"{}", size=9, offset=0, data=b"half")
        ),
        fail(OSError("the connection is lost")),
    ]
    asker = replica()
    peers = Mock(get=lambda _: Mock(ask_far_behind=lambda _: parts.pop(0)))
    clock: Any = Clock()
    again = Mock()
    taker = Taker(clock, clock.seconds, asker, peers, tmp_path, "", at_once, again, Mock())
    taker.startService()
    clock.advance(0.1)
    asker.snapshot_lost.assert_called_once_with(2, 0.1)
    again.assert_not_called()
    assert not parts
    assert not (tmp_path / "snapshot").exists()
    taker.stopService()


def test_earlier_entries_are_as_many_as_a_message_may_have(tmp_path: Path) -> None:
    entries = history(3000)
    log = Mock(last_index=len(entries), read=lambda after, upto: entries[after:upto])
    asked: Any = replica()
    asked.term = 1
    outgoing = Outgoing(asked, log, Mock(), tmp_path, at_once, Random(1), lambda: 0.0, Mock())
    replies: list[Any] = []
    earlier = Earlier(replica=2, cluster="c", to=1, after=5, upto=2500)
    outgoing.ask(earlier).addCallback(replies.append)
    (reply,) = replies
    assert from_wire(to_wire(reply), EarlierReply) == reply
    assert list(reply.entries) == entries[5 : 5 + MAX_ENTRIES]
