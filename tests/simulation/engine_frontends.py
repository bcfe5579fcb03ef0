"""Front-ends of a bazaar of several partitions: one front-end that ships for each, and what finds
the partition of a stock."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.errors import BazaarError, ChangeRefused, NotExecuted, Rejected, Unavailable
from twisted_bazaar.frontend.cache.quotes import LookupResult, Quote, Source
from twisted_bazaar.frontend.partitions.placements import Placements, next_place
from twisted_bazaar.market import Change, ChangeRefusal, Move, Placed, Rejection, Repriced, Trade

from .frontends import FrontendMember
from .members import CALL_SECONDS, TIMING
from .world import Process, World

__all__ = ["RoutedFrontend", "Shown"]

PAUSE_SECONDS = 0.02


class Shown(NamedTuple):
    """What a lookup was answered with, and by which partition."""

    quote: Quote | None
    source: Source
    partition: int


class RoutedFrontend(Process):
    """A front-end. Does what `TradeRouter`, `LookupRouter` and `Whereabouts` do."""

    def __init__(self, world: World, lanes: Sequence[FrontendMember]) -> None:
        super().__init__(world, lanes[0].name)
        self.lanes = lanes
        for lane in lanes:
            lane.told = self._heard

    def started(self) -> None:
        self._placements = Placements(len(self.lanes))
        for lane in self.lanes:
            lane.start()

    def crashed(self) -> None:
        for lane in self.lanes:
            lane.crash()

    def pause(self) -> None:
        super().pause()
        for lane in self.lanes:
            lane.pause()

    def resume(self, reads_first: bool | None = None) -> None:
        super().resume(reads_first)
        for lane in self.lanes:
            lane.resume(reads_first)

    @property
    def seconds(self) -> float:
        return self.lanes[0].seconds

    def _heard(self, status: Status) -> None:
        self._placements.heard(status.replica, status.placements)

    def nominate(self, nominee: int) -> None:
        """Ask a member to campaign for each partition."""
        for lane in self.lanes:
            lane.nominate(nominee)

    def place(self, trade: Trade, answer: Callable[[Any], None]) -> None:
        give_up = self.seconds + TIMING.deadline

        def place(partition: int) -> None:
            def answered(outcome: Any) -> None:
                if isinstance(outcome, Rejected) and (outcome.rejection is Rejection.UNKNOWN_STOCK):
                    self._after(trade.stock, partition, give_up, place, nowhere)
                elif isinstance(outcome, Placed) and outcome.partition is None:
                    answer(msgspec.structs.replace(outcome, partition=partition))
                else:
                    answer(outcome)

            self.lanes[partition].place(trade, answered)

        def nowhere(why: BazaarError | None) -> None:
            late = NotExecuted("its stock is on its way")
            answer(Rejected(Rejection.UNKNOWN_STOCK) if why is None else late)

        place(self._placements.of(trade.stock))

    def _after(
        self,
        stock: str,
        asked: int,
        give_up: float,
        found: Callable[[int], None],
        nowhere: Callable[[BazaarError | None], None],
    ) -> None:
        """Find where `stock` is, as partition `asked` has not got it."""

        def again() -> None:
            if self.seconds >= give_up:
                nowhere(Unavailable("it is not known where the stock is"))
            else:
                self.later(PAUSE_SECONDS, self._after, stock, asked, give_up, found, nowhere)

        def heard(status: Status) -> None:
            if status.role != "leader":
                again()
                return
            self._heard(status)
            place = next_place(stock, asked, status.placements, len(self.lanes))
            if place is None:
                nowhere(None)
            elif self.seconds >= give_up:
                again()
            else:
                wait = PAUSE_SECONDS if place.wait else 0.0
                self.later(wait, found, place.partition)

        lane = self.lanes[asked]
        leader = lane.leadership.leader
        if not leader:
            again()
            return
        member = lane._replicas[leader]
        lane._network.call(lane, member, member.status, None, heard, again, CALL_SECONDS)

    def lookup(self, name: str, answer: Callable[[Any], None]) -> None:
        give_up = self.seconds + TIMING.deadline / 2

        def ask(partition: int) -> None:
            def answered(found: LookupResult | BazaarError) -> None:
                if isinstance(found, BazaarError):
                    answer(found)
                elif found.quote is not None:
                    answer(Shown(found.quote, found.source, partition))
                else:
                    self._after(name, partition, give_up, ask, nowhere)

            def nowhere(why: BazaarError | None) -> None:
                answer(Shown(None, Source.MISS, partition) if why is None else why)

            self.lanes[partition].lookup(name, answered)

        ask(self._placements.of(name))

    def get_order(self, number: tuple[int, int], answer: Callable[[Any], None]) -> None:
        partition, local = number
        self.lanes[partition].get_order(local, answer)

    def operate(self, change: Change, answer: Callable[[Any], None]) -> None:
        assert isinstance(change, Move | Repriced)
        give_up = self.seconds + TIMING.deadline

        def ask(partition: int) -> None:
            def answered(outcome: int | BazaarError) -> None:
                if isinstance(outcome, ChangeRefused) and (
                    outcome.refusal is ChangeRefusal.UNKNOWN_STOCK
                ):
                    self._after(change.stock, partition, give_up, ask, answer)
                else:
                    answer(outcome)

            self.lanes[partition].operate(change, answered)

        ask(self._placements.of(change.stock))
