"""The connections of an order replica on which it calls its peers and the catalogs in frames."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from twisted.application.service import MultiService

from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.rpc.frames.channel import FrameChannel
from twisted_bazaar.rpc.frames.connection import FrameConnection
from twisted_bazaar.rpc.frames.exchanges import APPLYING, REPLICATION, counted
from twisted_bazaar.rpc.frames.format import Greeting, Welcome
from twisted_bazaar.rpc.frames.greeter import CATALOG, ORDER, Greeter
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.tcp import client_endpoint
from twisted_bazaar.security.contexts import Certificates
from twisted_bazaar.security.roles import Kind, Role

__all__ = ["OrderTransport"]


class OrderTransport(MultiService):
    """The channels to the other replicas and to the catalogs, as a Service, and the greetings of
    this replica."""

    def __init__(
        self,
        reactor: Reactor,
        replica: int,
        cluster: Callable[[], str],
        catalogs: Sequence[Address],
        random: Random,
        figures: CallFigures | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        """This is `replica` of the cluster that `cluster` returns; empty: it knows none yet.
        `figures` count the calls. None of `certificates`: in plain text."""
        super().__init__()
        self._figures = None if figures is None else counted((*REPLICATION, *APPLYING), figures)
        self._reactor = reactor
        self._certificates = certificates
        self._random = random
        self._greeter = Greeter(ORDER, replica, cluster)
        self.peers: dict[int, FrameChannel] = {}
        """By id: the replicas that are called now."""
        self.catalogs = {at: self._channel(at, CATALOG, Role(Kind.CATALOG)) for at in catalogs}

    def dial(self, peer: int, at: Address) -> FrameChannel:
        """Begin to call replica `peer` at that address."""
        self.peers[peer] = channel = self._channel(at, ORDER, Role.order(peer))
        return channel

    def drop(self, peer: int) -> None:
        """End the connection to replica `peer`. Calls that wait for an answer fail."""
        channel = self.peers.pop(peer)
        # A stop of this Service waits for its children; one that has left is gone by itself.
        channel.disownServiceParent()

    def _channel(self, address: Address, service: str, role: Role) -> FrameChannel:
        endpoint = client_endpoint(self._reactor, address)
        if self._certificates is not None:
            endpoint = self._certificates.client(endpoint, role)
        connection = FrameConnection(
            self._reactor,
            endpoint,
            address,
            partial(self._greeter.greeting, service, role.number),
            partial(self._greeter.mistake, service, role.number),
            self._random,
        )
        channel = FrameChannel(self._reactor, connection, address, self._figures)
        channel.setServiceParent(self)
        return channel

    def welcome(self, greeting: Greeting) -> Welcome:
        """The answer to the greeting of a peer."""
        welcome = self._greeter.welcome(greeting)
        if not welcome.refusal and greeting.sender in self.peers:
            # It is up. It may have been restarted, and perhaps upgraded.
            self.peers[greeting.sender].retry()
        return welcome
