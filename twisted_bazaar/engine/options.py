"""The options about an engine that services share: where it is, and how many partitions there are.
Pure.

The URL of an engine may hold a password, so nothing here shows one.
"""

import re

from twisted_bazaar.partitions import MAX_PARTITIONS

__all__ = ["ENGINE_HELP", "PARTITIONS_HELP", "engine_url", "partitions", "shown"]

ENGINE_HELP = (
    "postgresql://USER@HOST:PORT,HOST:PORT/DATABASE of the engine that keeps the order log, in "
    "place of files. A password is rather given by PGPASSFILE, or by BAZAAR_ENGINE than here: "
    "command lines can be read by all users of the machine."
)
PARTITIONS_HELP = (
    "Partitions of the bazaar, the same for all of its services, as when it was created. "
    "More than one need an engine."
)

_SCHEMES = "postgresql", "postgres"
_PASSWORD = re.compile(r"(?i)([?&](?:password|sslpassword)=)[^&]*")


def engine_url(text: str) -> str:
    """The URL of an engine, as libpq takes it."""
    scheme, separator, rest = text.strip().partition("://")
    if scheme not in _SCHEMES or not separator or any(not c.isprintable() for c in rest):
        # What was given may hold a password, so it is not repeated.
        raise ValueError("must be a URL that begins with postgresql://")
    return text.strip()


def partitions(text: str) -> int:
    """A number of partitions."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:18]) <= MAX_PARTITIONS):
        raise ValueError(f"must be a whole number from 1 to {MAX_PARTITIONS}, not {text!r}")
    return int(text)


def shown(url: str) -> str:
    """`url` without its password, for a person."""
    before, at, after = url.partition("://")
    # A password may have characters that it must not have.
    user, has_user, hosts = after.rpartition("@")
    if has_user:
        after = re.split(r"[:/?#]", user, maxsplit=1)[0] + "@" + hosts
    return before + at + _PASSWORD.sub(r"\1…", after)
