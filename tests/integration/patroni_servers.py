"""Three real PostgreSQL servers with Patroni; a test that cannot have them is skipped with a line
that says why.

    with PatroniServers() as servers:
        url = servers.database("bazaar")
        old = servers.primary()
        servers.kill(old)
        servers.wait_primary(but=old)
"""

from collections.abc import Iterator

import pytest

from load.errors import CannotRun
from load.servers import patroni as servers

__all__ = ["PatroniServers", "patroni"]


class PatroniServers(servers.PatroniServers):
    """As the class of that name in `load.servers`."""

    def __init__(self, *, disk_megabytes: int | None = None) -> None:
        try:
            super().__init__(disk_megabytes=disk_megabytes)
        except CannotRun as why:
            pytest.skip(str(why))


@pytest.fixture(scope="module")
def patroni() -> Iterator[PatroniServers]:
    """Servers with Patroni for all tests of a module."""
    with PatroniServers() as running:
        yield running
