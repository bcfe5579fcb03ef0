"""`/replicas` and `/readyz`: what the last pings found."""

import msgspec
import pytest
from msgspec import UNSET
from twisted.internet.task import Clock

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import FakeCatalog, follows, leads, result_of
from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.api.reports import ReplicaReport, Reports
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.upstream.catalogs import Catalogs
from twisted_bazaar.http import answers
from twisted_bazaar.timing import Timing


class Frontend:
    def __init__(self) -> None:
        self.leadership = Leadership([3, 1, 2])
        self.catalog = FakeCatalog()
        catalogs = Catalogs(Clock().seconds, [self.catalog], Timing())  # type: ignore[list-item]
        self.reports = Reports([self.leadership], [catalogs])

    def readiness(self) -> list[str | None]:
        return result_of(self.reports.readiness())


@pytest.fixture
def frontend() -> Frontend:
    return Frontend()


def test_every_replica_is_reported_by_id_as_it_described_itself_last(frontend: Frontend) -> None:
    frontend.leadership.heard(
        Status(
            replica=3,
            role="leader",
            term=4,
            leader=3,
            last_index=830,
            last_number=812,
            digest="c0ffee",
        )
    )
    frontend.leadership.heard(
        Status(
            replica=1,
            role="follower",
            term=4,
            leader=3,
            last_index=829,
            last_number=811,
            digest="decaf",
        )
    )
    assert result_of(frontend.reports.report()) == [
        [
            ReplicaReport(
                id=1,
                role="follower",
                term=4,
                last_number=811,
                last_index=829,
                digest="decaf",
                reachable=True,
            ),
            ReplicaReport(
                id=2,
                role="unknown",
                term=0,
                last_number=0,
                last_index=0,
                digest="",
                reachable=False,
            ),
            ReplicaReport(
                id=3,
                role="leader",
                term=4,
                last_number=812,
                last_index=830,
                digest="c0ffee",
                reachable=True,
            ),
        ]
    ]


def test_of_one_that_does_not_answer_the_rest_is_the_last_that_was_known(
    frontend: Frontend,
) -> None:
    frontend.leadership.heard(
        Status(
            replica=3,
            role="leader",
            term=4,
            leader=3,
            last_index=830,
            last_number=812,
            digest="c0ffee",
        )
    )
    frontend.leadership.silent(3)
    [rows] = result_of(frontend.reports.report())
    assert rows[2] == ReplicaReport(
        id=3,
        role="unknown",
        term=4,
        last_number=812,
        last_index=830,
        digest="c0ffee",
        reachable=False,
    )


def test_without_a_leader_it_is_not_ready(frontend: Frontend) -> None:
    assert frontend.readiness() == ["no order replica leads"]
    assert frontend.catalog.asked == []


def test_with_a_leader_and_stocks_it_is_ready(frontend: Frontend) -> None:
    frontend.leadership.heard(leads(3))
    ready = frontend.readiness()
    assert ready == []
    call = frontend.catalog.only("look_up")
    assert call.arguments[0] == (), "no stock is asked for: there may be many"
    call.reply([])
    assert ready == [None]


def test_without_a_catalog_it_is_not_ready(frontend: Frontend) -> None:
    frontend.leadership.heard(leads(3))
    ready = frontend.readiness()
    frontend.catalog.only("look_up").fail(Unavailable("connection refused"))
    assert ready == ["no catalog answers"]


# Several partitions.


class Partitioned:
    """A front-end of two partitions, of which 3 leads the one and 2 the other."""

    def __init__(self) -> None:
        self.leaderships = [Leadership([3, 2]), Leadership([3, 2])]
        self.catalogs = [FakeCatalog(), FakeCatalog()]
        catalogs = [
            Catalogs(Clock().seconds, [each], Timing())  # type: ignore[list-item]
            for each in self.catalogs
        ]
        self.reports = Reports(self.leaderships, catalogs)

    def readiness(self) -> list[str | None]:
        return result_of(self.reports.readiness())


def test_each_partition_needs_a_leader_and_a_catalog_that_answers() -> None:
    frontend = Partitioned()
    frontend.leaderships[0].heard(leads(3))
    assert frontend.readiness() == ["no order replica leads partition 1"]
    frontend.leaderships[1].heard(leads(2))
    asked = frontend.readiness()
    frontend.catalogs[0].only("look_up").reply()
    assert asked == []
    frontend.catalogs[1].only("look_up").fail(Unavailable("gone"))
    assert asked == ["no catalog answers for partition 1"]
    asked = frontend.readiness()
    for catalog in frontend.catalogs:
        catalog.only("look_up").reply()
    assert asked == [None]


def test_a_member_is_reported_in_each_partition_with_the_numbers_that_clients_see() -> None:
    frontend = Partitioned()
    frontend.leaderships[0].heard(msgspec.structs.replace(leads(3), last_number=7))
    frontend.leaderships[1].heard(msgspec.structs.replace(follows(3), last_number=9))
    [[_, third]] = result_of(frontend.reports.report())
    assert (third.role, third.last_number) == ("leader", 7000)
    assert [(each.role, each.last_number) for each in third.partitions] == [
        ("leader", 7000),
        ("follower", 9001),
    ]
    [[second, _]] = result_of(frontend.reports.report())
    assert [each.last_number for each in second.partitions] == [0, 0], "there is no order"


def test_with_one_partition_nothing_is_said_of_partitions(frontend: Frontend) -> None:
    frontend.leadership.heard(leads(3))
    assert b"partitions" not in answers.success(result_of(frontend.reports.report())[0])


def test_a_replica_that_does_not_count_yet_is_shown_as_joining(frontend: Frontend) -> None:
    frontend.leadership.members_are([1, 2, 3, 4], joining=[4])
    (rows,) = result_of(frontend.reports.report())
    assert [row.joining for row in rows] == [*[UNSET] * 3, True]
