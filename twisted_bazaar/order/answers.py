"""The callers that wait for an answer of this process."""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred

from twisted_bazaar.errors import BazaarError

from .questions import Batch, Operation, Outcome, Question

__all__ = ["Answers", "DeskAnswers"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Answers(Generic[K, T]):
    """Answers of type T that are still to come, each to one K."""

    def __init__(self) -> None:
        self._waiting: dict[K, Deferred[T]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, asked: K, ask: Callable[[], object]) -> Deferred[T]:
        """Call `ask`, and wait for the answer to `asked`, which may come during that call. Fails
        with the `BazaarError` that `ask` raises."""
        answer: Deferred[T] = Deferred()
        self._waiting[asked] = answer
        try:
            ask()
        except BazaarError as error:
            if asked in self._waiting:
                self.fail(asked, error)
        return answer

    def answer(self, asked: K, answer: T) -> None:
        """Answer the caller. Raises KeyError if it was answered before."""
        self._waiting.pop(asked).callback(answer)

    def fail(self, asked: K, error: BazaarError) -> None:
        """Tell the caller why there is no answer. Raises KeyError if it was answered before."""
        self._waiting.pop(asked).errback(error)

    def fail_all(self, error: BazaarError) -> None:
        """Tell all callers why there are no answers."""
        for asked in [*self._waiting]:
            self.fail(asked, error)


class DeskAnswers:
    """What the trading desk is still to settle."""

    def __init__(self) -> None:
        self.batches: Answers[Batch, Sequence[Outcome] | None] = Answers()
        self.questions: Answers[Question | Operation, int] = Answers()

    def settle(self, settled: Batch | Question | Operation) -> None:
        """Answer the caller with what the desk says. Raises KeyError if it was answered before."""
        if isinstance(settled, Batch):
            self.batches.answer(settled, settled.answer)
        elif isinstance(settled.answer, int):
            self.questions.answer(settled, settled.answer)
        elif settled.answer is not None:
            self.questions.fail(settled, settled.answer)

    def fail_all(self, error: BazaarError) -> None:
        """Tell all callers why there are no answers."""
        self.batches.fail_all(error)
        self.questions.fail_all(error)
