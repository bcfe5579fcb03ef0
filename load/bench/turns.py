"""What is measured in turns of an order log in an engine: a bazaar, or a transaction a trade."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count

from twisted.internet import task

from load.bazaar.local import LocalFleet
from load.bazaar.processes import Process
from twisted_bazaar.errors import Unusable
from twisted_bazaar.partitions import home
from twisted_bazaar.tools.signed_operations import Operator

from .quorum import Quorum
from .speed import STOCKS, cpu_seconds, rest, wake

__all__ = ["OrdinaryTurn", "BazaarTurn", "START_SECONDS", "spread_stocks"]

START_SECONDS = 60.0
STOCKS_EACH = 2
EVEN_OVER = 8
MEMBERS = 3
LEAD_SECONDS = 1.0
"""A partition is led by another member by then."""


class BazaarTurn:
    """A bazaar with so many partitions in `database`; 0: its log is in files."""

    def __init__(
        self, name: str, bazaar: LocalFleet, partitions: int, database: str, quorum: Quorum
    ) -> None:
        self.name = name
        self.stocks = spread_stocks()
        self._bazaar = bazaar
        self._partitions = partitions
        self._database = database
        self._quorum = quorum

    @property
    def url(self) -> str:
        return self._bazaar.urls[0]

    async def wake(self) -> None:
        """Go on, with leaders spread over the members."""
        await wake(self._bazaar)
        if self._partitions > 1:
            await self._bazaar.until(self._spread, "each member leads its part", START_SECONDS)

    async def _spread(self) -> bool:
        """Whether the usual members lead. Those that were stopped have all lost the lead, and the
        first that is nominated has it back."""
        found = Namespace(
            frontend=None, secret_file=None, certificates=None, data=self._bazaar.data
        )
        operator = Operator.find(found)
        led = operator.operate({"operation": "partitions"})["partitions"]
        wrong = [each["partition"] for each in led
                 if each["leader"] != MEMBERS - each["partition"] % MEMBERS]  # fmt: skip
        for partition in wrong:
            with suppress(Unusable):
                operator.operate({"operation": "lead", "partition": partition, "member": None})
        if wrong:
            await task.deferLater(self._bazaar.reactor, LEAD_SECONDS)
        return not wrong

    def rest(self) -> None:
        """Use no processor until `wake`."""
        rest(self._bazaar)

    def cpu_seconds(self) -> Mapping[str, float]:
        """What each process has used, the servers included if they keep its log."""
        own = cpu_seconds({name: self._bazaar.pid(name) for name in self._bazaar.names()})
        return {**own, **self._quorum.cpu_seconds()} if self._database else own

    def written(self) -> tuple[int, int]:
        """The batches and orders of its log, as far as that can be known."""
        return self._quorum.batches(self._database) if self._database else (0, 0)


class OrdinaryTurn:
    """FastAPI with one transaction a trade, on the same servers."""

    name = "a transaction a trade"
    stocks: Sequence[str] = STOCKS

    def __init__(self, process: Process, port: int, quorum: Quorum) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._process = process
        self._quorum = quorum

    async def wake(self) -> None:
        """It uses next to nothing by itself."""

    def rest(self) -> None:
        """As `wake`."""

    def cpu_seconds(self) -> Mapping[str, float]:
        return {**cpu_seconds({"uvicorn": self._process.pid}), **self._quorum.cpu_seconds()}

    def written(self) -> tuple[int, int]:
        return 0, 0


def spread_stocks() -> Sequence[str]:
    """Names of stocks of which each of eight partitions is the home of as many; so is each of
    four, two, one."""
    names: dict[int, list[str]] = {partition: [] for partition in range(EVEN_OVER)}
    for number in count(1):
        name = f"Stock-{number}"
        at_home = names[home(name, EVEN_OVER)]
        if len(at_home) < STOCKS_EACH:
            at_home.append(name)
        if all(len(each) == STOCKS_EACH for each in names.values()):
            break
    return [
        name for place in range(STOCKS_EACH) for name in (each[place] for each in names.values())
    ]
