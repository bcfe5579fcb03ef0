"""The operator of a trial: every operation is recorded, and in the end all stocks are traded."""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from load.chaos import operators
from load.chaos.operators import Operator
from load.history.records import Change, History


class Tool:
    """`python -m twisted_bazaar market`, which fails every third time, and then says why."""

    asked: list[list[str]]

    def __init__(self, reactor: Clock, command: list[str], log: Path) -> None:
        words = command[command.index("twisted_bazaar") + 1 :]
        self.asked.append(words[:-1])
        self.status: int | None = None
        self._fails = len(self.asked) % 3 == 0
        log.write_text("market: no leader\n")

    def start(self) -> None:
        self.status = 1 if self._fails else 0

    async def wait(self, seconds: float) -> None:
        pass

    async def end(self) -> None:
        pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the operator asks for."""
    Tool.asked = []
    monkeypatch.setattr(operators, "Process", Tool)
    return Tool.asked


def test_what_it_does_is_recorded_and_all_is_resumed(
    asked: list[list[str]], tmp_path: Path
) -> None:
    clock: Any = Clock()
    history = History(tmp_path / "history.jsonl")
    prices = {"Fish": 1.5, "Boar": 0.2}
    operator = Operator(clock, clock.seconds, tmp_path, tmp_path / "log", prices, history, "seed")
    operator.start()
    clock.pump([0.5] * 400)
    ended: Deferred[None] = Deferred.fromCoroutine(operator.stop())
    clock.pump([0.5] * 100)
    assert ended.called
    history.close()
    changes = [each for each in history.records if isinstance(each, Change)]
    assert [_words(each) for each in changes] == asked
    assert {each.status for each in changes} == {200, 0}
    assert all(bool(each.message) == (each.status == 0) for each in changes)
    assert all(each.price is None or each.price >= 0.01 for each in changes)
    assert {each[1] for each in asked} == {"price", "halt", "resume"}
    for name in prices:
        halts = [each for each in changes if each.name == name and each.halted is not None]
        assert (halts[-1].halted, halts[-1].status) == (False, 200)


def test_of_several_partitions_stocks_and_leaders_are_moved(
    asked: list[list[str]], tmp_path: Path
) -> None:
    clock: Any = Clock()
    history = History()
    operator = Operator(
        clock, clock.seconds, tmp_path, tmp_path / "log", {"Fish": 1.5}, history, "seed",
        partitions=2, members=(1, 2),
    )  # fmt: skip
    operator.start()
    clock.pump([0.5] * 400)
    changes = [each for each in history.records if isinstance(each, Change)]
    # Who leads is nothing that a client may notice.
    assert [_words(each) for each in changes] == [words for words in asked if words[1] != "lead"]
    assert {each.partition for each in changes} == {0, 1}
    leads = {tuple(words[2:]) for words in asked if words[1] == "lead"}
    assert leads == {(p, *who) for p in "01" for who in ((), ("1",), ("2",))}
    assert {words[1] for words in asked} == {"move", "lead"}


def _words(change: Change) -> list[str]:
    if change.partition is not None:
        return ["partitions", "move", change.name, str(change.partition)]
    if change.price is not None:
        return ["market", "price", change.name, f"{change.price:.2f}"]
    return ["market", "halt" if change.halted else "resume", change.name]
