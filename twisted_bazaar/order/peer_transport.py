"""How order replicas reach each other in frames: the connections, and who is at their ends."""

from collections.abc import Callable, Mapping
from functools import partial
from random import Random

from twisted.application.service import MultiService
from twisted.logger import Logger

from twisted_bazaar.consensus.identity import not_meant
from twisted_bazaar.rpc.frames import Greeting, Welcome, agree
from twisted_bazaar.rpc.peer_channel import PeerChannel
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.tcp import client_endpoint

__all__ = ["PeerTransport"]

_SERVICE = "order"


class PeerTransport(MultiService):
    """The channels to the other replicas, as a Service, and the greetings of this one.

    A greeting names the cluster, but is not refused for another one: a poll is answered whatever
    the asker's cluster (`Identity.refusal`), and a replica may learn its cluster after it has
    connected. So the cluster is checked in each request.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        replica: int,
        cluster: Callable[[], str],
        peers: Mapping[int, Address],
        random: Random,
    ) -> None:
        """This is `replica` of the cluster that `cluster` returns; empty: it knows none yet."""
        super().__init__()
        self._replica = replica
        self._cluster = cluster
        self._refused = ""
        """The last refusal that was logged."""
        self.channels: dict[int, PeerChannel] = {}
        for peer, address in peers.items():
            self.channels[peer] = PeerChannel(
                reactor,
                client_endpoint(reactor, address),
                address,
                partial(self.greeting, peer),
                partial(self.mistake, peer),
                random,
            )
            self.channels[peer].setServiceParent(self)

    def greeting(self, to: int) -> Greeting:
        """The greeting of this replica to replica `to`."""
        return Greeting(service=_SERVICE, sender=self._replica, to=to, cluster=self._cluster())

    def mistake(self, to: int, welcome: Welcome) -> str | None:
        """Why a welcome is not that of replica `to`; None: it is."""
        if welcome.service != _SERVICE:
            return f"what answers at the address of replica {to} is of service {welcome.service}"
        if welcome.sender != to:
            return f"what answers at the address of replica {to} is replica {welcome.sender}"
        return None

    def welcome(self, greeting: Greeting) -> Welcome:
        """The answer to the greeting of a peer."""
        refusal = not_meant(self._replica, "", greeting.to, "")
        if greeting.service != _SERVICE:
            refusal = f"this is order replica {self._replica}, not of service {greeting.service}"
        if refusal is None:
            if greeting.sender in self.channels:
                # It is up. It may have been restarted, and perhaps upgraded.
                self.channels[greeting.sender].retry()
        elif self._refused != refusal:
            self._refused = refusal
            self.log.warn("a connection is refused: {why}", why=refusal)
        return Welcome(
            service=_SERVICE,
            sender=self._replica,
            cluster=self._cluster(),
            version=agree(greeting),
            refusal=refusal or "",
        )
