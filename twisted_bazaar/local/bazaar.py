"""`twistd bazaar`: the whole bazaar on one machine, one process for each service."""

from collections.abc import Callable, Mapping

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twisted_bazaar import __version__
from twisted_bazaar.catalog.opening import open_market
from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.exits import refusing, stop_with
from twisted_bazaar.runtime.folder_lock import Claim, claim
from twisted_bazaar.runtime.reactor import Reactor

from .certificates import KEEP_SECONDS, certificates_path, keep_certificates
from .console import Console
from .engine import EMBEDDED, make_server
from .plan import Config, plan
from .ports import Ports
from .secret import keep_secret, secret_path
from .supervisor import LAST_SECONDS, Supervisor
from .supervisor import STOP_SECONDS as CHILDREN_SECONDS
from .wrong_folder import check_orders_are_there

__all__ = ["STOP_SECONDS", "LocalBazaar", "stop_seconds"]

VERSION = f"twisted_bazaar {__version__}"

STOP_SECONDS = CHILDREN_SECONDS + 0.5
"""How long a stop of all processes may take, but for an engine of their own."""


def stop_seconds(engine: str | None) -> float:
    """How long a stop of all processes may take, with that `--engine`."""
    return STOP_SECONDS + (LAST_SECONDS if engine == EMBEDDED else 0.0)


class LocalBazaar(MultiService):
    """Runs what `plan` makes of `config`, with all files in `config.data`."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        config: Config,
        environment: Mapping[str, str],
        console: Console,
        wall: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """`wall` shows seconds since 1970; `random_bytes` makes the cluster's secret, and names."""
        super().__init__()
        self._reactor = reactor
        self._config = config
        self._environment = environment
        self._console = console
        self._wall = wall
        self._random_bytes = random_bytes
        self._ports = Ports()
        self._claim: Claim | None = None
        self._keeping = LoopingCall(self._keep_certificates)
        self._keeping.clock = reactor

    def startService(self) -> None:
        """Claim the folder, reserve the ports, start everything; or leave with one line."""
        data = self._config.data.absolute()
        with refusing("bazaar"):
            self._claim = claim(data)
            check_orders_are_there(data, self._config.engine)
            # It is out of date if an earlier run was killed.
            (data / "processes.json").unlink(missing_ok=True)
            keep_secret(secret_path(data), self._random_bytes)
            if not self._config.plain_inside:
                self._issue()
            if self._config.listing is not None:
                # Before anything starts: a listing that cannot be used opens no market.
                open_market(data / "catalog" / "catalog.csv", self._config.listing)
            if self._config.engine == EMBEDDED:
                make_server(data, self._random_bytes)
            children = plan(self._config, self._ports)
        supervisor = Supervisor(
            self._reactor,
            data / "processes.json",
            children,
            self._environment,
            self._console,
            lambda line: stop_with(self._reactor, f"bazaar: {line}"),
            self._wall,
        )
        supervisor.setServiceParent(self)
        self.log.info("{version}, with its files in {data}", version=VERSION, data=data)
        for child in children:
            self.log.debug("{name} at {address}", name=child.name, address=child.address)
        if not self._config.plain_inside:
            self._keeping.start(KEEP_SECONDS, now=False)
        super().startService()

    def _issue(self) -> None:
        """Raises `Unusable`."""
        data = self._config.data.absolute()
        issued = keep_certificates(data, self._config.replicas, self._wall(), self._random_bytes)
        if issued:
            self.log.info(
                "issued certificates for {roles} in {folder}",
                roles=", ".join(map(str, issued)),
                folder=certificates_path(data),
            )

    def _keep_certificates(self) -> None:
        try:
            self._issue()
        except Unusable as why:
            # What is there is valid for weeks: there is time for a person.
            self.log.error("certificates cannot be issued again: {why}", why=str(why))

    def stopService(self) -> Deferred[None]:
        """Stop the processes, then give ports and folder up."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._keeping.running:
            self._keeping.stop()
        await super().stopService()
        self._ports.release()
        if self._claim is not None:
            self._claim.release()
        self.log.info("stopped")
