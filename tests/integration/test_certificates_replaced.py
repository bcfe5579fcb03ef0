"""The authority of a bazaar that trades is replaced, and no trade fails."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.fakes.certificates import FRONTEND, issuing
from twisted_bazaar.security.folder import CertificateFolder
from twisted_bazaar.security.roles import Role

from .background_trader import BackgroundTrader
from .cluster import Cluster
from .intruder import CLOSED, DENIED, Intruder
from .waiting import wait_until

pytestmark = pytest.mark.slow

SECONDS = 15.0
READ = "certificates were read again"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "cluster", tls=True) as running:
        yield running


def read_again(cluster: Cluster, times: int) -> None:
    """Wait until every service has read its certificates so often."""
    wanted = times * len(cluster.address)
    wait_until(lambda: cluster.log.read_text().count(READ) >= wanted, READ, SECONDS, cluster.tail)


def test_the_authority_is_replaced_in_three_steps_while_trades_go_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    assert cluster.certificates is not None
    folder = CertificateFolder(cluster.certificates)
    folder.issue([FRONTEND], issuing(), tmp_path / "former")
    former = Intruder("former", folder.authority_file, CertificateFolder(tmp_path / "former"))
    address = cluster.address["order-1"]
    assert former.ask(address, 1, "order") == DENIED
    with BackgroundTrader(cluster.address["frontend"], "GameStart") as trader:
        folder.trust_next(issuing())
        read_again(cluster, 1)
        folder.issue_by_next(issuing())
        read_again(cluster, 2)
        folder.distrust_former()
        read_again(cluster, 3)
        for name in ("order-1", "catalog"):
            # All of its connections are made anew.
            cluster.kill(name)
            cluster.launch(name)
            wait_until(partial(cluster.listens, name), "it listens", SECONDS, cluster.tail)
        before = len(trader.placed)
        wait_until(lambda: len(trader.placed) > before + 20, "it trades", SECONDS, cluster.tail)
        _, failures = trader.report()
    assert failures == []
    assert former.ask(address, 1, "order") == CLOSED
    current = Intruder("current", folder.authority_file, folder, Role.order(2))
    assert current.fetch(address, "/livez") == "200"
    assert "was given up: its certificate is not trusted" in cluster.log.read_text()
