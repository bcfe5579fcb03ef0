"""The operator who changes the replicas of a trial: in the end they are those of the beginning."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from load.chaos import changing_members
from load.chaos.changing_members import MembersOperator
from load.history.records import Fault, History


class Fleet:
    """Three replicas, and those that were started to join."""

    data = Path("data")

    def __init__(self) -> None:
        self.running: set[int] = set()
        self.left: list[int] = []
        self.ends = True

    def replica_names(self) -> list[str]:
        return ["order-1", "order-2", "order-3"]

    def join(self, number: int) -> None:
        assert number not in self.running
        self.running.add(number)

    def address_of(self, number: int) -> str:
        assert number in self.running
        return f"127.0.0.1:{number}"

    async def leave(self, number: int, within: float) -> bool:
        self.running.remove(number)
        self.left.append(number)
        return self.ends


class Tool:
    """`python -m twisted_bazaar members`, which fails every third time."""

    asked: list[list[str]]
    members: set[int]

    def __init__(self, reactor: Clock, command: list[str], log: Path) -> None:
        words = command[command.index("members") + 1 :]
        self.asked.append(words[:-2])
        self.status: int | None = None
        self._words = words
        self._fails = len(self.asked) % 3 == 0
        log.write_text("members: no leader\n")

    def start(self) -> None:
        self.status = 1 if self._fails else 0
        if self._fails:
            return
        match self._words:
            case ["add", member, _, *_]:
                self.members.add(int(member))
            case ["remove", member, *_]:
                self.members.discard(int(member))
            case ["replace", old, new, *_]:
                self.members ^= {int(new), *(self.members & {int(old)})}

    async def wait(self, seconds: float) -> None:
        pass

    async def end(self) -> None:
        pass


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("ends", "emptied", "problems"),
    [(True, False, False), (False, False, True), (False, True, False)],
    ids=["they end", "they go on", "they go on with empty folders"],
)
def test_in_the_end_the_replicas_are_those_of_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    seed: int,
    ends: bool,
    emptied: bool,
    problems: bool,
) -> None:
    Tool.asked, Tool.members = [], {1, 2, 3}
    monkeypatch.setattr(changing_members, "Process", Tool)
    clock, fleet, said = Clock(), Fleet(), list[str]()
    fleet.ends = ends
    reactor: Any = clock
    given: Any = fleet
    history = History(tmp_path / "history.jsonl")
    operator = MembersOperator(
        *(reactor, clock.seconds, given, tmp_path / "log", history, said.append, Random(seed))
    )
    if emptied:
        names = tuple(f"order-{member}" for member in range(4, 1000))
        what = "empty folder of a replica"
        history.add(Fault(what=what, names=names, began=0.0, ended=1.0, is_wanted=True))
    operator.start()
    clock.pump([0.5] * 400)
    ended: Deferred[None] = Deferred.fromCoroutine(operator.stop())
    clock.pump([0.5] * 20)
    assert ended.called
    history.close()
    assert Tool.members == {1, 2, 3}
    assert not fleet.running
    assert sorted(fleet.left) == list(range(4, 4 + len(fleet.left)))
    assert {words[0] for words in Tool.asked} == {"add", "replace", "remove"}
    faults = [each for each in history.records if isinstance(each, Fault)]
    assert len(faults) == len(Tool.asked) + emptied
    assert len(said) == len(Tool.asked)
    assert bool(operator.problems) == problems
