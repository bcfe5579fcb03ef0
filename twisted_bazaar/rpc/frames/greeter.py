"""Who is at the ends of a connection: what a process says of itself, and whom it refuses.

A greeting names the cluster, but is not refused for another one: a poll is answered whatever the
asker's cluster (`consensus.identity`), and a process may learn its cluster after it has connected.
So the cluster is checked in each request.
"""

from collections.abc import Callable

from twisted.logger import Logger

from .format import Greeting, Welcome, agree

__all__ = ["CATALOG", "FRONTEND", "ORDER", "Greeter"]

ORDER = "order"
CATALOG = "catalog"
FRONTEND = "frontend"
"""The names of services."""


class Greeter:
    """The greetings of one process."""

    log = Logger()

    def __init__(self, service: str, replica: int, cluster: Callable[[], str]) -> None:
        """This is `replica`, or 0 if it is none, of `service`, in the cluster that `cluster`
        returns; empty: it knows none yet."""
        self._service = service
        self._replica = replica
        self._cluster = cluster
        self._refused = ""
        """The last refusal that was logged."""

    def greeting(self, service: str, to: int) -> Greeting:
        """To replica `to`, or 0, of `service`."""
        return Greeting(service=service, sender=self._replica, to=to, cluster=self._cluster())

    def mistake(self, service: str, to: int, welcome: Welcome) -> str | None:
        """Why a welcome is not that of replica `to`, or 0, of `service`; None: it is."""
        if welcome.service != service:
            meant = f"{_named(to)} of service {service}"
            return f"what answers at the address of {meant} is of service {welcome.service}"
        if welcome.sender != to:
            return f"what answers at the address of {_named(to)} is {_named(welcome.sender)}"
        return None

    def welcome(self, greeting: Greeting) -> Welcome:
        """The answer to the greeting of a caller."""
        refusal = self._refusal(greeting)
        if refusal and self._refused != refusal:
            self._refused = refusal
            self.log.warn("a connection is refused: {why}", why=refusal)
        return Welcome(
            service=self._service,
            sender=self._replica,
            cluster=self._cluster(),
            version=agree(greeting),
            refusal=refusal,
        )

    def _refusal(self, greeting: Greeting) -> str:
        me = _named(self._replica)
        if greeting.service != self._service:
            return f"this is {me} of service {self._service}, not {greeting.service}"
        if greeting.to not in (0, self._replica):
            return f"this is {me}, not {_named(greeting.to)}"
        return ""


def _named(replica: int) -> str:
    return f"replica {replica}" if replica else "a process"
