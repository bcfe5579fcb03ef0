"""A cache of quotes in a Redis, which front-ends of one bazaar may share.

`redis_values` defines keys and values; `breaker` decides when a command may be sent.
"""

import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall, ITCPTransport
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from txredisapi import InvalidResponse, RedisError, RedisProtocol, ResponseError

from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.redis_url import RedisUrl
from twisted_bazaar.runtime.tcp import client_endpoint
from twisted_bazaar.runtime.writing import AtOnce
from twisted_bazaar.security.transport import NotAdmitted
from twisted_bazaar.security.trusting import TrustingEndpoint

from .breaker import Breaker
from .quotes import Quote
from .redis_values import MAX_VERSION_DIGITS, PREFIX, RedisValues

__all__ = ["RedisCache"]

_EXPIRY_SECONDS = 3600
"""How long Redis keeps a value that is not overwritten."""
_TICKS_PER_TIMEOUT = 5
"""A command may be sent just before a tick: it has at least four fifths of a timeout."""
_MAX_COMMANDS_UNDER_WAY = 256

_KEEP_NEWER = b"""
local function version(value)
  local digits = type(value) == 'string' and string.match(value, '^(%%d+) .')
  return digits and #digits <= %d and tonumber(digits) or -1
end
for i, key in ipairs(KEYS) do
  if version(redis.pcall('GET', key)) < version(ARGV[i]) then
    redis.call('SET', key, ARGV[i], 'EX', %d)
  end
end
""" % (MAX_VERSION_DIGITS, _EXPIRY_SECONDS)


class RedisCache(Service):
    """A `QuoteCache` in the Redis at `url`. While that Redis is unreachable, or does not answer
    within `timeout` seconds, the cache is empty and keeps nothing.

    After a failure the cache sends nothing for `pause` seconds, then one command of its own, so
    that no lookup waits for a Redis that hangs. Each failure ends the connection, so that a late
    reply cannot be matched to a later command.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        url: RedisUrl,
        timeout: float = 0.05,
        pause: float = 0.5,
        secret: bytes = b"",
    ) -> None:
        """It returns only values that were written with the same `secret`. By TLS the certificate
        of the Redis must be for the host of `url`, and by an issuer that this system trusts, or
        that is in the file which the environment variable SSL_CERT_FILE names."""
        self._reactor = reactor
        self._seconds = seconds
        self._url = url
        self._address = url.address
        self._values = RedisValues(secret)
        self._timeout = timeout
        self._endpoint = client_endpoint(reactor, url.address, pause)
        if url.is_tls:
            # It trusts whom this system trusts, also what SSL_CERT_FILE names.
            context = ssl.create_default_context()
            self._endpoint = TrustingEndpoint(self._endpoint, url.address.host, context)
        self._breaker = Breaker(pause, _TICKS_PER_TIMEOUT, _MAX_COMMANDS_UNDER_WAY)
        self._connecting: Deferred[None] = succeed(None)
        self._connection: _Connection | None = None
        self._gone: Deferred[str] | Deferred[None] = succeed(None)
        """Fires when the last connection has ended."""
        self._refused_by: _Connection | None = None
        self.errors = 0
        """How often it could not be reached, did not answer in time, or refused a write."""
        self._retry: IDelayedCall | None = None
        self._ticking: IDelayedCall | None = None

    @property
    def is_given_up(self) -> bool:
        """Whether it did not answer last."""
        return not self._breaker.closed

    def startService(self) -> None:
        super().startService()
        self._connect()

    def stopService(self) -> Deferred[None]:
        """Disconnect. Reads under way find nothing."""
        super().stopService()
        for call in (self._retry, self._ticking):
            if call is not None and call.active():
                call.cancel()
        self._ticking = None
        self._connecting.cancel()
        self._give_up(self._connection, "stopping")
        return self._gone.addCallback(lambda _: None)

    def get(self, history: str, names: Sequence[str]) -> Deferred[Mapping[str, Quote]]:
        if not names:
            return succeed({})
        asked = tuple(names)
        keys = self._values.keys(history, asked)
        answer = self._send(
            lambda redis: redis.mget(keys).addCallback(self._quotes, history, asked, keys)
        )
        return succeed({}) if answer is None else answer

    def put(self, history: str, quotes: Mapping[str, Quote]) -> None:
        if quotes:
            keys = self._values.keys(history, quotes)
            values = list(map(self._values.value, keys, quotes.values()))
            self._send(
                lambda redis: redis.eval(_KEEP_NEWER, keys, values).addErrback(self._write_refused)
            )

    def drop(self, history: str, names: Collection[str]) -> None:
        if names:
            keys = self._values.keys(history, names)
            self._send(lambda redis: redis.delete(keys).addErrback(self._write_refused))

    def _quotes(
        self, values: Any, history: str, names: Sequence[str], keys: Sequence[bytes]
    ) -> Mapping[str, Quote]:
        """The quotes in the reply to MGET. Raises `InvalidResponse` if it is malformed."""
        if not isinstance(values, list) or len(values) != len(names):
            raise InvalidResponse(f"{len(names)} values were asked for, not {values!r:.100}")
        found: dict[str, Quote] = {}
        invalid: list[str] = []
        for name, key, value in zip(names, keys, values, strict=True):
            quote = self._values.quote(key, value)
            if quote is not None:
                found[name] = quote
            elif value is not None:
                invalid.append(name)
        if invalid:
            # Such a value may claim a version that `_KEEP_NEWER` would never replace.
            self.drop(history, invalid)
        return found

    # Commands.

    def _send(self, command: Callable[["_Connection"], Deferred[Any]]) -> Deferred[Any] | None:
        """Send a command; the Deferred never fails. None: it must not be sent now."""
        redis = self._connection
        number = None if redis is None else self._breaker.admit(self._seconds())
        if redis is None or number is None:
            return None
        if self._ticking is None:
            self._tick_later()
        sent = command(redis)
        return sent.addCallbacks(
            self._answered, self._failed, callbackArgs=(number,), errbackArgs=(number, redis)
        )

    def _answered(self, result: Any, number: int) -> Any:
        if self._breaker.answered(number):
            self.log.info("Redis at {address} is used again", address=self._address)
        return result

    def _failed(
        self, failure: Failure, number: int, connection: "_Connection"
    ) -> Mapping[str, Quote]:
        if failure.check(CancelledError):
            self._breaker.forgotten(number)
            return {}
        if not failure.check(RedisError):
            self.log.failure("unexpected error in a Redis command", failure)
        self._give_up(connection, failure.getErrorMessage())
        return {}

    def _write_refused(self, failure: Failure) -> None:
        """Log once for each connection that Redis refuses writes. Reads go on."""
        failure.trap(ResponseError)
        self.errors += 1
        if self._refused_by is not self._connection:
            self._refused_by = self._connection
            why = failure.getErrorMessage()
            self.log.warn(
                "Redis at {address} refuses writes: {why}", address=self._address, why=why
            )

    def _tick_later(self) -> None:
        interval = self._timeout / _TICKS_PER_TIMEOUT
        self._ticking = self._reactor.callLater(interval, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        if self._breaker.tick():
            self._give_up(self._connection, f"no answer within {self._timeout} s")
        elif not self._breaker.idle:
            self._tick_later()

    # The connection.

    def _connect(self) -> None:
        wait = self._breaker.wait(self._seconds())
        if wait > 0:
            self._retry = self._reactor.callLater(wait, self._connect)
            return
        factory: Any = Factory.forProtocol(_Connection)
        factory.noisy = False
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        self._connecting = connecting.addCallbacks(self._connected, self._unreachable)

    def _connected(self, connection: "_Connection") -> None:
        self._connection = connection
        self._gone = connection.gone
        self._gone.addCallback(lambda why: self._give_up(connection, why))
        # The trial command: until it is answered, the breaker admits no other.
        self._send(self._trial)

    def _trial(self, redis: "_Connection") -> Deferred[Any]:
        """Say who this is, if that is asked, and read a value that nobody has written."""
        password = self._url.password
        said = succeed(None) if password is None else redis.auth(password, self._url.user)
        read: Deferred[Any] = redis.mget([PREFIX])
        # What goes on if it is refused is refused as well, for a reason that says less.
        both: Deferred[Any] = gatherResults([said, read], consumeErrors=True)
        both.addErrback(_first)
        return both.addCallback(lambda replies: self._quotes(replies[1], "", [""], [PREFIX]))

    def _unreachable(self, failure: Failure) -> None:
        self._give_up(None, failure.getErrorMessage())

    def _give_up(self, connection: "_Connection | None", why: str) -> None:
        """End `connection` and pause, unless it was given up before."""
        if connection is not self._connection:
            return
        if connection is not None:
            # `loseConnection` would wait until a Redis that hangs has read what was sent.
            connection.transport.abortConnection()
            self._connection = None
        news = self._breaker.failed(self._seconds())
        if not self.running:
            return
        self.errors += 1
        if news:
            self.log.warn(
                "Redis at {address} is given up for now: {why}", address=self._address, why=why
            )
        self._connect()


def _first(failure: Failure) -> Failure:
    """The failure that made `gatherResults` fail."""
    why = failure.value
    assert isinstance(why, FirstError)
    return why.subFailure


class _Connection(RedisProtocol):  # type: ignore[misc]
    """A connection to Redis. Replies are matched to commands by order alone, so it aborts itself
    on a reply that is malformed or that no command waits for."""

    def __init__(self) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.gone: Deferred[str] = Deferred()
        """Fires when it has ended, with why."""

    def makeConnection(self, transport: ITCPTransport) -> None:  # noqa: N802 - Twisted's name
        super().makeConnection(AtOnce(transport))

    def connectionMade(self) -> Any:
        # Nagle's algorithm would hold back a command until the reply to the one before.
        self.transport.setTcpNoDelay(True)
        return super().connectionMade()

    def connectionLost(self, why: Failure) -> None:
        lacks_trust = why.check(NotAdmitted)
        self.gone.callback(why.getErrorMessage() if lacks_trust else "the connection was lost")
        super().connectionLost(why)

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        try:
            super().dataReceived(data, unpause)
        except RedisError:
            self.transport.abortConnection()  # this is not Redis

    def replyReceived(self, reply: Any) -> None:  # noqa: N802
        if self.replyQueue.waiting:
            super().replyReceived(reply)
        else:
            self.transport.abortConnection()  # a reply to nothing
