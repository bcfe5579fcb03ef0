"""Options of a replica that name others than its log does."""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest

from tests.fakes.histories import extend, opened, write
from tests.unit.storage.test_leaving import archive_all, log_in, written
from twisted_bazaar.consensus.entries import MemberInfo, Members, Opened
from twisted_bazaar.errors import Unusable
from twisted_bazaar.order.assembly import archive_in, check_members
from twisted_bazaar.order.tap import OrderConfig
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.storage.timely import TimelyStore
from twisted_bazaar.storage.trust import Witness

MEMBERS = Members((MemberInfo(1), MemberInfo(2)))
LATER: Mapping[int, Address] = {1: Address("h", 1), 2: Address("h", 2), 4: Address("h", 4)}
"""Who is a member by now; the log lacks the entry that says so."""


def test_a_joining_replica_that_was_stopped_while_it_fetched_goes_on(tmp_path: Path) -> None:
    log = LogFile(tmp_path, 3, Random(1))
    write(log, extend([], [Opened(leader=2, members=(1, 2)), MEMBERS]))
    assert log.suspect
    check_members(tmp_path, LATER, 3, True, log)
    log.close()


def test_a_replica_that_votes_refuses_members_that_its_log_never_had(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        write(log, extend([], [Opened(leader=2, members=(1, 2)), MEMBERS]))
        with pytest.raises(Unusable, match="never had 4"):
            check_members(tmp_path, LATER, 3, True, log)


@pytest.mark.parametrize(
    ("indexed", "is_timely"), [(0, False), (-1, False), (1, True), (None, False)]
)
def test_an_archive_is_waited_for_only_where_the_index_is_to_be_made_of_it(
    tmp_path: Path, indexed: int | None, is_timely: bool
) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        archive_all(log)
        begins = log.beginning.index
    at = {0: 1, -1: begins - 1, 1: begins}
    witness = None if indexed is None else Witness("index", at[indexed], "")
    config = cast(OrderConfig, SimpleNamespace(data=tmp_path, archive=""))
    assert isinstance(archive_in(config, witness)._store, TimelyStore) is is_timely
