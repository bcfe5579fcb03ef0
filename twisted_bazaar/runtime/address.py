"""The address of a service: a host and a TCP port. Pure."""

from ipaddress import ip_address

import attrs

__all__ = ["MAX_HOST", "Address", "is_loopback"]

MAX_HOST = 253
"""Characters of a host name (RFC 1035)."""


@attrs.frozen(order=True, cache_hash=True)
class Address:
    """A host (a name, or an IPv4 or IPv6 address without brackets) and a TCP port, 1 to 65535.

    `str` is the inverse of `parse`, and is what gRPC, Redis and URLs take.
    """

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `127.0.0.1:7003`, `order-3:7003` or `[::1]:7003`. Raises ValueError otherwise."""
        host, colon, port = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            host = ""
        # isdecimal alone would admit digits of other scripts, and int() takes "7_003".
        number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else 0
        is_host = 0 < len(host) <= MAX_HOST and host.isprintable() and " " not in host
        if not (colon and is_host and 0 < number < 65536):
            raise ValueError(f"must be HOST:PORT with a port from 1 to 65535, not {text!r:.80}")
        return cls(host, number)

    @property
    def is_loopback(self) -> bool:
        """Whether it can be reached from this machine only."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether what listens at `host` can be reached from this machine only. Of a name, but for
    `localhost`, it is not known, and taken not to be so."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
