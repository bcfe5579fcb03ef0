"""Opens the certificates of a service, as its options say, and shows when they expire."""

import time
from collections.abc import Sequence

from twisted.logger import Logger

from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.runtime.reactor import Reactor

from .contexts import Certificates
from .options import InsideConfig
from .roles import Role

__all__ = ["open_certificates", "opened"]


def open_certificates(
    reactor: Reactor, config: InsideConfig, role: Role, metrics: Metrics
) -> Certificates | None:
    """Those of a service with this role; None: it speaks in plain text. Raises `Unusable`."""
    if config.certificates is None:
        if config.exposed:
            Logger().warn(
                "--plain-inside: who reaches {exposed}, or reads along, can trade as any client "
                "and change the order log",
                exposed=config.exposed,
            )
        return None
    certificates = Certificates(reactor, config.certificates, role, time.time)
    metrics.gauges(
        "bazaar_certificate_expiry_seconds",
        "For how long the certificate of this service is valid, and that of its authority (ca).",
        "role",
        read=lambda: {(name,): left for name, left in certificates.seconds_left().items()},
    )
    return certificates


def opened(certificates: Certificates | None) -> Sequence[Certificates]:
    """The services to start, before those that use them."""
    return () if certificates is None else (certificates,)
