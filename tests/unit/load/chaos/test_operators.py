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
        words = command[command.index("market") + 1 :]
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
    assert {each[0] for each in asked} == {"price", "halt", "resume"}
    for name in prices:
        halts = [each for each in changes if each.name == name and each.halted is not None]
        assert (halts[-1].halted, halts[-1].status) == (False, 200)


def _words(change: Change) -> list[str]:
    if change.price is not None:
        return ["price", change.name, f"{change.price:.2f}"]
    return ["halt" if change.halted else "resume", change.name]
