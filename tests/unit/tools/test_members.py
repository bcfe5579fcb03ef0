"""What `members` asks a front-end for, waits for, and says."""

import io
from collections.abc import Mapping
from typing import Any

import pytest

from twisted_bazaar import __main__
from twisted_bazaar.errors import Unusable
from twisted_bazaar.replica_ids import MAX_REPLICA
from twisted_bazaar.tools import members
from twisted_bazaar.tools.members import DEAD_SECONDS
from twisted_bazaar.tools.signed_operations import Operator, Refused

AT = "10.0.0.{}:7000"
ADD = {"operation": "add-member", "member": 4, "address": AT.format(4)}
REMOVE = {"operation": "remove-member", "member": 1}


class Frontend:
    """Takes operations, of which each is done once it has been asked for its state `slow` times."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, Any]] = []
        self.refuses: list[Refused] = []
        self.slow = 3
        self.now = 0.0
        self.index = 0
        self.states = dict.fromkeys((1, 2, 3), "member")
        self.dead: set[int] = set()
        self.left = 0

    def operate(self, operation: Mapping[str, Any]) -> Any:
        if operation["operation"] == "members":
            self.left -= 1
            if self.left == 0:
                self.settle()
            return self.state()
        if self.refuses:
            raise self.refuses.pop(0)
        assert operation["based_on"] == self.index
        self.told.append({name: of for name, of in operation.items() if name != "based_on"})
        self.index += 10
        self.left = self.slow
        joins = operation["operation"] == "add-member"
        self.states[operation["member"]] = "joining" if joins else "leaving"
        return {"index": self.index}

    def settle(self) -> None:
        self.index += 1
        self.states = {
            id_: state if id_ in self.dead and state == "joining" else "member"
            for id_, state in self.states.items()
            if state != "leaving"
        }

    def state(self) -> Mapping[str, Any]:
        shown = [
            {
                "member": id_,
                "address": AT.format(id_),
                "joining": state == "joining",
                "leaving": state == "leaving",
                "reachable": id_ not in self.dead,
                "role": "follower",
                "behind": 1200 if state == "joining" else 0,
            }
            for id_, state in sorted(self.states.items())
        ]
        settled = "leaving" not in self.states.values()
        return {"index": self.index, "leader": 3, "settled": settled, "members": shown}

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def frontend(monkeypatch: pytest.MonkeyPatch) -> Frontend:
    ours = Frontend()
    monkeypatch.setattr(Operator, "find", lambda asked: ours)
    return ours


def said(frontend: Frontend, *words: str) -> list[str]:
    out = io.StringIO()
    asked = __main__._parser().parse_args(["members", *words])
    members.operate(asked, out, lambda: frontend.now, frontend.pause)
    return out.getvalue().splitlines()


def test_a_replica_is_added_once_it_counts(frontend: Frontend) -> None:
    assert said(frontend, "add", "4", AT.format(4)) == [
        "replica 4 is joining, 1200 entries behind",
        "replica 4 is a member, at 10.0.0.4:7000 (entry 11)",
        "ok: the replicas are 1, 2, 3, 4, by entry 11",
    ]
    assert frontend.told == [ADD]


def test_what_is_so_is_not_asked_for_again(frontend: Frontend) -> None:
    """A command that was cut short goes on where it was."""
    frontend.states[4] = "joining"
    frontend.left = 3
    assert said(frontend, "replace", "1", "4", AT.format(4))[-1] == (
        "ok: the replicas are 2, 3, 4, by entry 12"
    )
    assert frontend.told == [REMOVE]
    assert said(frontend, "replace", "1", "4", AT.format(4))[-1].startswith("ok: ")
    assert frontend.told == [REMOVE]


def test_one_that_works_leaves_when_the_new_one_is_there(frontend: Frontend) -> None:
    said(frontend, "replace", "1", "4", AT.format(4))
    assert frontend.told == [ADD, REMOVE]


def test_a_dead_one_leaves_first_as_a_new_one_asks_all(frontend: Frontend) -> None:
    frontend.dead = {1}
    said(frontend, "replace", "1", "4", AT.format(4))
    assert frontend.told == [REMOVE, ADD]


def test_one_that_dies_meanwhile_leaves_before_the_new_one_has_asked_it(
    frontend: Frontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = frontend.state

    def state() -> Mapping[str, Any]:
        frontend.dead = {1} if frontend.now > 2 else set()
        # It has asked all others only once none of them is dead.
        if frontend.states.get(1) == "member" and 4 in frontend.states:
            frontend.left = 2
        return look()

    monkeypatch.setattr(frontend, "state", state)
    frontend.slow = 20
    said(frontend, "replace", "1", "4", AT.format(4))
    assert frontend.told == [ADD, REMOVE]
    assert frontend.now < 600
    assert 1 not in frontend.states


def test_one_that_is_started_anew_meanwhile_is_waited_for(
    frontend: Frontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = frontend.state

    def state() -> Mapping[str, Any]:
        frontend.dead = {1} if 2 < frontend.now < 2 + DEAD_SECONDS - 1 else set()
        return look()

    monkeypatch.setattr(frontend, "state", state)
    frontend.slow = 60
    lines = said(frontend, "replace", "1", "4", AT.format(4))
    assert [line for line in lines if " is a member" in line or " is no member" in line] == [
        "replica 4 is a member, at 10.0.0.4:7000 (entry 11)",
        "replica 1 is no member (entry 22)",
    ]


def test_a_refusal_is_said_and_asked_again(frontend: Frontend) -> None:
    frontend.refuses = [Refused("the members are being asked", "members_refused")] * 3
    assert said(frontend, "remove", "1") == [
        "the members are being asked",
        "replica 1 is no member (entry 11)",
        "ok: the replicas are 2, 3, by entry 11",
    ]


def test_a_mistake_is_not_asked_again(frontend: Frontend) -> None:
    frontend.refuses = [Refused("no", "not_signed")]
    with pytest.raises(Refused, match="no"):
        said(frontend, "remove", "1")


def test_one_that_never_comes_is_waited_for_in_vain(frontend: Frontend) -> None:
    frontend.slow, frontend.dead = 10**6, {4}
    with pytest.raises(Unusable, match="not yet after 5 s; to ask again goes on"):
        said(frontend, "add", "4", AT.format(4), "--timeout", "5")
    assert frontend.told == [ADD]


def test_one_that_never_joins_holds_up_no_other(frontend: Frontend) -> None:
    """Such as one that was added at a mistyped address."""
    frontend.states[9], frontend.dead = "joining", {9}
    assert said(frontend, "add", "4", AT.format(4)) == [
        "replica 4 is joining, 1200 entries behind",
        "replica 4 is a member, at 10.0.0.4:7000 (entry 11)",
        "ok: the replicas are 1, 2, 3, 4, 9, by entry 11",
    ]
    assert said(frontend, "remove", "1")[-2].startswith("replica 1 is no member")
    assert said(frontend, "remove", "9")[-1] == "ok: the replicas are 2, 3, 4, by entry 33"


def test_the_members_are_shown(frontend: Frontend) -> None:
    frontend.states[4], frontend.dead = "joining", {2}
    table = [line.split() for line in said(frontend, "show")]
    assert table == [
        ["replica", "address", "state", "role", "behind"],
        ["1", "10.0.0.1:7000", "member", "follower", "0"],
        ["2", "10.0.0.2:7000", "member", "does", "not", "answer", "0"],
        ["3", "10.0.0.3:7000", "member", "follower", "0"],
        ["4", "10.0.0.4:7000", "joining", "follower", "1200"],
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["add", "0", "a:1"],
        ["add", str(MAX_REPLICA + 1), "a:1"],
        ["add", "4", "nowhere"],
        ["add", "4", f"{'a' * 254}:1"],
        ["remove", "x"],
        ["remove"],
    ],
)
def test_an_argument_that_is_none_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        __main__._parser().parse_args(["members", *words])
