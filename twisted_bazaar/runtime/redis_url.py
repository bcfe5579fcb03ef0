"""The URL of a Redis: `redis://HOST:PORT`, or with TLS `rediss://USER:PASSWORD@HOST:PORT`. Pure."""

from urllib.parse import quote, unquote

import attrs

from .address import Address

__all__ = ["REDIS_HELP", "RedisUrl"]

REDIS_HELP = (
    "redis://HOST:PORT, or rediss:// for TLS; USER:PASSWORD@ or :PASSWORD@ may precede the host, "
    "but is rather given by BAZAAR_CACHE: command lines can be read by all users of the machine."
)


@attrs.frozen
class RedisUrl:
    """Where a Redis is. `str` is the inverse of `parse`, and holds the password."""

    address: Address
    is_tls: bool = False
    user: str | None = None
    """None: the default one."""
    password: str | None = attrs.field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> "RedisUrl":
        """Read a URL. What has a meaning there is written with per cent signs. Raises ValueError,
        which shows no password."""
        scheme, separator, rest = text.strip().partition("://")
        who, at, where = rest.rpartition("@")
        user, _, password = who.partition(":")
        try:
            if scheme not in ("redis", "rediss") or not separator or (at and not password):
                raise ValueError
            address = Address.parse(where.removesuffix("/"))
        except ValueError:
            # What was given may hold a password.
            given = repr(text) if "@" not in text else "what was given"
            raise ValueError(
                f"must be redis://HOST:PORT, rediss://USER:PASSWORD@HOST:PORT or such, not {given}"
            ) from None
        return cls(address, scheme == "rediss", unquote(user) or None, unquote(password) or None)

    def __str__(self) -> str:
        who = ""
        if self.password is not None:
            who = f"{quote(self.user or '', safe='')}:{quote(self.password, safe='')}@"
        return f"{'rediss' if self.is_tls else 'redis'}://{who}{self.address}"
