"""Endpoint strings, such as `tcp:8081:interface=127.0.0.1`, read as Twisted reads them. Pure.

A front-end listens where its endpoint says, a local bazaar reserves that port, and the health
check connects to it: all three read the string here.
"""

from collections.abc import Mapping, Sequence

import attrs

from .address import is_loopback

__all__ = ["DEFAULT_LISTEN", "Endpoint"]

DEFAULT_LISTEN = "tcp:8081:interface=127.0.0.1"
"""Where a front-end listens for clients if its operator names nothing else."""

_TLS = (
    *("port", "privateKey", "certKey", "sslmethod", "interface", "backlog"),
    *("extraCertChain", "dhParameters"),
)
_PLACES: Mapping[str, Sequence[str]] = {
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "backlog", "interface"),
    "unix": ("address", "mode", "backlog", "lockfile"),
    "ssl": _TLS,
    "tls": _TLS,
}
"""The names of positional arguments, for the kinds of endpoint that are known here."""


@attrs.frozen
class Endpoint:
    """Where a server listens. `str` gives a string that Twisted reads as the same endpoint."""

    kind: str
    """`tcp`, `tcp6`, `unix`, `ssl`, `tls`, which is another word for it, or anything else that
    Twisted knows."""
    arguments: Mapping[str, str]
    """By name; those of another kind that have no name by position, from 1."""

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """Read `text`. Raises ValueError if it is no endpoint, or its port is no port."""
        (name, kind), *rest = _split(text)
        if name is not None or not kind or not rest:
            raise ValueError(f"must be an endpoint, not {text!r}")
        places = iter(_PLACES.get(kind, ()))
        arguments: dict[str, str] = {}
        for place, (name, value) in enumerate(rest, 1):
            name = next(places, str(place)) if name is None else name
            if name in arguments or (kind in _PLACES and name not in _PLACES[kind]):
                raise ValueError(f"must be an endpoint, not {text!r}")
            arguments[name] = value
        endpoint = cls(kind, arguments)
        if endpoint.is_tcp and not _is_port(arguments.get("port", "")):
            raise ValueError(f"must have a port from 0 to 65535, not {text!r}")
        if "sslmethod" in arguments:
            raise ValueError(f"must leave sslmethod out: TLS 1.2 and 1.3 are spoken, not {text!r}")
        if kind == "unix" and not endpoint.path:
            raise ValueError(f"must name a socket, not {text!r}")
        return endpoint

    def __str__(self) -> str:
        # The required argument comes first, as people write it, and needs no name.
        first = _PLACES.get(self.kind, ("",))[0]
        ordered = sorted(self.arguments.items(), key=lambda argument: argument[0] != first)
        parts = [
            _quote(value) if name == first or name.isdecimal() else f"{name}={_quote(value)}"
            for name, value in ordered
        ]
        return ":".join([self.kind, *parts])

    @property
    def is_tcp(self) -> bool:
        """Whether it has a host and a port."""
        return self.kind in ("tcp", "tcp6") or self.is_tls

    @property
    def is_tls(self) -> bool:
        """Whether TLS is spoken there."""
        return self.kind in ("ssl", "tls")

    @property
    def port(self) -> int:
        """The port, if `is_tcp`; 0: any free one."""
        return int(self.arguments["port"])

    @property
    def host(self) -> str:
        """The interface, if `is_tcp`; empty or `::`: all."""
        return self.arguments.get("interface", "::" if self.kind == "tcp6" else "")

    @property
    def path(self) -> str:
        """The path of the socket, if the kind is `unix`."""
        return self.arguments.get("address", "")

    @property
    def is_loopback(self) -> bool:
        """Whether it can be reached from this machine only. Of a kind that is not known here it is
        not known, and taken not to be so."""
        if self.kind == "unix":
            return True
        return is_loopback(self.arguments.get("interface", ""))

    def with_port(self, port: int) -> "Endpoint":
        """The same endpoint at another port."""
        return attrs.evolve(self, arguments={**self.arguments, "port": str(port)})


def _is_port(text: str) -> bool:
    # isdecimal alone would admit digits of other scripts, and int() takes "8_081".
    return text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) < 65536


def _split(text: str) -> list[tuple[str | None, str]]:
    """The parts between colons, each with its name if it is `name=value`, else with None.

    A backslash escapes the next character. Only the first `=` of a part is special.
    """
    parts: list[tuple[str | None, str]] = []
    name: str | None = None
    read = ""
    characters = iter(text)
    for character in characters:
        if character == "\\":
            read += next(characters, "")
        elif character == ":":
            parts.append((name, read))
            name, read = None, ""
        elif character == "=" and name is None:
            name, read = read, ""
        else:
            read += character
    return [*parts, (name, read)]


def _quote(value: str) -> str:
    return "".join(f"\\{each}" if each in "\\:=" else each for each in value)
