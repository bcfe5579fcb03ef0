"""What `partitions` asks a front-end for, waits for, and says."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from twisted_bazaar import __main__
from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.tools import operations, partitions
from twisted_bazaar.tools.signed_operations import Operator


class Frontend:
    """Takes operations, and carries them out when it has been asked for its state `slow` times."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, Any]] = []
        self.slow = 2
        self.now = 0.0
        self.leader = 3
        self.stocks = [["BoarCo", "GameStart"], ["FishCo"]]

    def operate(self, operation: Mapping[str, Any]) -> Any:
        if operation["operation"] != "partitions":
            self.told.append(operation)
            return {"entries": [{"partition": 0, "index": 830}]}
        self.slow -= 1
        if self.slow == 0:
            self.carry_out()
        return self.state()

    def carry_out(self) -> None:
        for each in self.told:
            if each["operation"] == "lead":
                self.leader = each["member"]
            else:
                self.stocks[0].remove(each["name"])
                self.stocks[each["partition"]].append(each["name"])

    def state(self) -> Mapping[str, Any]:
        first = {"partition": 0, "leader": self.leader, "term": 4, "preferred": 0}
        second = {"partition": 1, "leader": 0, "term": 2, "preferred": 2}
        return {
            "partitions": [
                {**first, "last_number": 812000, "last_index": 830, "stocks": self.stocks[0]},
                {**second, "last_number": 0, "last_index": 7, "stocks": self.stocks[1]},
            ],
            "moved": [{"stock": "MenhirCo", "partition": 1, "arrived": False}],
        }

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def frontend(monkeypatch: pytest.MonkeyPatch) -> Frontend:
    ours = Frontend()
    monkeypatch.setattr(Operator, "find", lambda asked: ours)
    return ours


def said(frontend: Frontend, *words: str) -> str:
    out = io.StringIO()
    asked = __main__._parser().parse_args(["partitions", *words])
    partitions.operate(asked, out, lambda: frontend.now, frontend.pause)
    return out.getvalue()


def test_a_move_waits_until_the_stock_is_there(frontend: Frontend) -> None:
    line = "ok: entry 830 of partition 0; GameStart is in partition 1\n"
    assert said(frontend, "move", "GameStart", "1") == line
    assert frontend.told == [{"operation": "move", "name": "GameStart", "partition": 1}]
    assert frontend.slow == 0


def test_a_change_of_leader_waits_for_it(frontend: Frontend) -> None:
    assert said(frontend, "lead", "0", "2") == "ok: replica 2 leads partition 0\n"
    assert frontend.told == [{"operation": "lead", "partition": 0, "member": 2}]
    assert frontend.slow == 0


def test_the_usual_leader_is_asked_for_without_a_member(frontend: Frontend) -> None:
    assert said(frontend, "lead", "1") == "ok: the usual replica is to lead partition 1\n"
    assert frontend.told == [{"operation": "lead", "partition": 1, "member": None}]


def test_what_does_not_come_in_time_is_a_line(frontend: Frontend) -> None:
    frontend.slow = 10**6
    with pytest.raises(Unusable, match=r"^replica 2 leads partition 0: not yet after 15 s"):
        said(frontend, "lead", "0", "2")
    assert frontend.now == pytest.approx(partitions.WAIT_SECONDS, abs=0.2)


def test_all_partitions_are_shown_with_their_stocks(frontend: Frontend) -> None:
    lines = [" ".join(line.split()) for line in said(frontend, "show").splitlines()]
    assert lines == [
        "partition leader term preferred order entry stocks",
        "0 3 4 - 812000 830 BoarCo, GameStart",
        "1 none 2 2 - 7 FishCo",
        "MenhirCo is on its way to partition 1",
    ]


def test_many_stocks_are_counted(frontend: Frontend) -> None:
    frontend.stocks[1] = [f"[red]S{n}" for n in range(9)]
    assert "9: [red]S0, " in said(frontend, "show")
    assert "[red]S8" not in said(frontend, "show")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"index": 830}, "entry 830"),
        ({"index": None}, "it was so already"),
        ({"entries": []}, "it was so already"),
        (
            {"entries": [{"partition": 0, "index": 8}, {"partition": 2, "index": 9}]},
            "entry 8 of partition 0, entry 9 of partition 2",
        ),
    ],
)
def test_entries_are_named_with_their_partitions(data: Mapping[str, Any], line: str) -> None:
    assert operations.entries_of(data) == line


def test_the_secret_is_not_shown() -> None:
    assert "hush" not in repr(Operator(Address.parse("127.0.0.1:1"), b"hush"))


def test_a_folder_without_a_bazaar_is_one_line(tmp_path: Path) -> None:
    asked = __main__._parser().parse_args(["partitions", "show", f"--data={tmp_path}"])
    with pytest.raises(Unusable, match="processes.json cannot be read"):
        partitions.operate(asked, io.StringIO(), float, lambda _: None)
