"""The options of each service for what it speaks with the other services of its bazaar."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import attrs
from twisted.python import usage

from twisted_bazaar.runtime import options
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.endpoint import Endpoint
from twisted_bazaar.tracing.options import TracingOptions

__all__ = ["InsideConfig", "InsideOptions"]


@attrs.frozen
class InsideConfig:
    """How the services of a bazaar speak with one another."""

    certificates: Path | None = None
    """The folder of certificates, for TLS; None: in plain text."""
    exposed: str = ""
    """An address in plain text that other machines may reach; empty: there is none."""

    def may_call(self, place: Address) -> bool:
        """Whether a service that was told of `place` later may call it: in plain text only where
        that was asked for, or no other machine is."""
        return bool(self.certificates or self.exposed) or place.is_loopback


class InsideOptions(TracingOptions):
    """Adds how the services of a bazaar speak with one another."""

    optParameters: ClassVar[list[list[Any]]] = [
        [
            "certificates",
            None,
            None,
            "Folder of certificates, by which the services of a bazaar know each other: see "
            "python -m twisted_bazaar certificates.",
            options.folder,
        ],
    ]
    optFlags: ClassVar[list[list[Any]]] = [
        [
            "plain-inside",
            None,
            "Speak with the other services in plain text, though other machines may read along.",
        ],
    ]

    def inside(self, addresses: Iterable[Address | Endpoint]) -> InsideConfig:
        """What the options say of the other services, which are reached at `addresses`, as this one
        is. Raises a UsageError if they would speak in plain text where it was not asked for."""
        folder, plain = self["certificates"], bool(self["plain-inside"])
        if folder is not None:
            if plain:
                raise usage.UsageError("--plain-inside must not be given beside --certificates")
            return InsideConfig(folder)
        exposed = next((str(each) for each in addresses if not each.is_loopback), "")
        if exposed and not plain:
            raise usage.UsageError(
                "--certificates must be given (or --plain-inside, for plain text), "
                f"as other machines may reach {exposed}"
            )
        return InsideConfig(None, exposed)
