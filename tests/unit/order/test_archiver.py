"""What moves segments to the archive, where something is wrong."""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock, patch

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from twisted_bazaar.errors import Damaged, Unavailable
from twisted_bazaar.order.archiver import Archiver
from twisted_bazaar.storage.leaving import Keep


@pytest.mark.parametrize(
    ("why", "told"),
    [(Damaged("a line"), True), (Unavailable("the archive"), False), (OSError("full"), False)],
)
def test_only_a_damaged_log_ends_the_replica(why: Exception, told: bool) -> None:
    def at_once(_: object, call: Callable[..., Any], *given: Any) -> Deferred[Any]:
        try:
            return succeed(call(*given))
        except Exception:
            return fail()

    clock: Any = Clock()
    cannot_read = Mock()
    logfile = Mock(suspect=None)
    archiver = Archiver(
        *(clock, logfile, Mock(), Keep(), "", lambda: 7, lambda: succeed(7), cannot_read)
    )
    with (
        patch.object(archiver, "_threads", Mock(defer=at_once)),
        patch("twisted_bazaar.order.archiver.boundary", side_effect=why) as looked,
    ):
        archiver.startService()
        clock.advance(1)
        assert cannot_read.called == told
        clock.advance(1)
        assert looked.call_count == (2 if told else 1)
        clock.advance(10)
        assert looked.call_count > 1
        archiver.stopService()
