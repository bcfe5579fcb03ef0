"""The options of a front-end for what its clients may use; `twistd bazaar` hands them
on."""

from decimal import Decimal
from typing import Any, ClassVar

import attrs
from twisted.python import usage

from twisted_bazaar.http.connections import REQUEST_SECONDS
from twisted_bazaar.http.sources import MAX_CONNECTIONS_OF_ONE
from twisted_bazaar.rate import Rate, read_rate
from twisted_bazaar.runtime.options import Options, positive_int, seconds

__all__ = ["LimitConfig", "LimitOptions", "limit_arguments"]


@attrs.frozen
class LimitConfig:
    """What clients may use of a front-end."""

    rate: Decimal | None = None
    """Requests a second from each address; None: any number."""
    burst: int | None = None
    """Requests at once from each address; None: those of a second."""
    connections: int | None = None
    """Of all clients; None: as many as there are file descriptors for, up to a bound."""
    connections_of_one: int | None = None
    """From each address; None: `MAX_CONNECTIONS_OF_ONE`, and any number from this machine."""
    request_seconds: float = REQUEST_SECONDS
    """In which a request must come, its head and body together."""

    @property
    def each_address(self) -> Rate | None:
        """The rate of an address; None: it is not limited."""
        return None if self.rate is None else Rate.of(self.rate, self.burst)


class LimitOptions(Options):
    """Adds what clients may use."""

    limits: LimitConfig
    """Set once the options have been read."""

    optParameters: ClassVar[list[list[Any]]] = [
        ["rate", None, None, "Requests a second from each address, as 50 or 50/s.", read_rate],
        ["burst", None, None, "Requests at once from each address; else --rate.", positive_int],
        [
            "max-connections",
            None,
            None,
            "Connections of all clients; else 10,000, or what the limit of open files leaves.",
            positive_int,
        ],
        [
            "max-connections-per-address",
            None,
            None,
            f"Connections from each address; else {MAX_CONNECTIONS_OF_ONE}, and any number from "
            "this machine. Trusted proxies may have any number.",
            positive_int,
        ],
        [
            "request-deadline",
            None,
            REQUEST_SECONDS,
            "Seconds in which a request must come, its head and body together.",
            seconds,
        ],
    ]

    def postOptions(self) -> None:
        super().postOptions()
        if self["burst"] is not None and self["rate"] is None:
            raise usage.UsageError("--burst must be given with --rate")
        self.limits = LimitConfig(
            self["rate"],
            self["burst"],
            self["max-connections"],
            self["max-connections-per-address"],
            self["request-deadline"],
        )
        try:
            _ = self.limits.each_address
        except ValueError as why:
            raise usage.UsageError(f"--burst {why}") from None


def limit_arguments(limits: LimitConfig) -> list[str]:
    """The options that say `limits`."""
    given = {
        "rate": limits.rate,
        "burst": limits.burst,
        "max-connections": limits.connections,
        "max-connections-per-address": limits.connections_of_one,
    }
    arguments = [f"--{name}={value}" for name, value in given.items() if value is not None]
    if limits.request_seconds != REQUEST_SECONDS:
        arguments.append(f"--request-deadline={limits.request_seconds}")
    return arguments
