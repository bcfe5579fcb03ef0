"""Who has no certificate of this bazaar, or not the one that is needed, reads and writes nothing: a
table of each method of each port, as the running services name them, and of each intruder."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.fakes.certificates import ALL, FRONTEND, MONITOR, issuing, make_folder
from twisted_bazaar.rpc.frames.exchanges import APPLYING, FAR_BEHIND, REPLICATION
from twisted_bazaar.rpc.push import (
    ANNOUNCEMENT_KIND,
    ANNOUNCEMENT_METHOD,
    PUSH_KIND,
    PUSH_METHOD,
)
from twisted_bazaar.security.folder import CertificateFolder
from twisted_bazaar.security.roles import ALLOWED, Role, may_call

from .cluster import Cluster
from .inside import channel_to
from .intruder import CLOSED, DENIED, Intruder

MALFORMED = b"\xff"
"""No message: whom a service would serve is told so, and nothing is done."""
FRAMES: Mapping[str, tuple[str, Mapping[int, str]]] = {
    "order-1": ("order", {each.kind: each.path for each in (*REPLICATION, *FAR_BEHIND)}),
    "catalog": ("catalog", {each.kind: each.path for each in APPLYING}),
    "frontend": (
        "frontend",
        {PUSH_KIND: PUSH_METHOD, ANNOUNCEMENT_KIND: ANNOUNCEMENT_METHOD},
    ),
}
PATHS = {
    "order-1": ("/metrics", "/livez", "/readyz"),
    "catalog": ("/metrics", "/livez", "/readyz"),
    "frontend": ("/metrics", "/market", "/invalidations"),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("intruders")
    # An election of their own, on a busy machine, would look like something that was written.
    patient = "--election-timeout=1.5", "--lease=2", "--deadline=9"
    with Cluster(folder / "cluster", *patient, tls=True) as running:
        yield running


def ours(cluster: Cluster) -> CertificateFolder:
    assert cluster.certificates is not None
    return CertificateFolder(cluster.certificates)


@pytest.fixture(scope="module")
def strangers(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> list[Intruder]:
    """Those whose connections must be given up, whatever they ask for."""
    folder = tmp_path_factory.mktemp("strangers")
    trusts = ours(cluster).authority_file
    theirs = make_folder(folder / "theirs")
    ours(cluster).issue(ALL, issuing(days=2, ago=3), folder / "old")
    old = CertificateFolder(folder / "old")
    roles = FRONTEND, Role.order(1)
    return [
        Intruder("plain text", None),
        Intruder("no certificate", trusts),
        *(Intruder(f"another bazaar's {each}", trusts, theirs, each) for each in roles),
        *(Intruder(f"an expired {each}", trusts, old, each) for each in roles),
    ]


@pytest.fixture(scope="module")
def members(cluster: Cluster) -> list[Intruder]:
    """Those with a role here, each of which may do some of it."""
    roles = [each for each in ALL if each not in map(Role.order, (1, 3))]
    return [
        Intruder(str(each), ours(cluster).authority_file, ours(cluster), each) for each in roles
    ]


def state(cluster: Cluster) -> Any:
    replicas = cluster.request("GET", "/replicas").body["data"]
    stocks = cluster.request("GET", "/stocks").body["data"]
    return [(each["term"], each["last_index"]) for each in replicas], stocks


def methods(cluster: Cluster, name: str) -> list[Any]:
    """Those that the running service itself names."""
    with channel_to(cluster, name, MONITOR) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        services = [pool.FindServiceByName(each) for each in database.get_services()]
        return [method for service in services for method in service.methods]


def expected(intruder: Intruder, row: str) -> str | None:
    """None: it is served."""
    return None if may_call(intruder.role, row) else DENIED


def tried(cluster: Cluster, intruder: Intruder, is_stranger: bool) -> dict[str, tuple[str, Any]]:
    """For each row of `ALLOWED`: what came of it, and what must."""
    found: dict[str, tuple[str, Any]] = {}
    for name in ("order-1", "catalog"):
        with intruder.channel(cluster.address[name]) as channel:
            for method in methods(cluster, name):
                row = f"/{method.containing_service.full_name}/{method.name}"
                must = CLOSED if is_stranger else expected(intruder, row)
                # One that must be refused is one that would do something.
                said = intruder.call(channel, method, MALFORMED if must is None else b"")
                found[f"{row} at {name}"] = said, must
    for name, (service, kinds) in FRAMES.items():
        address = str(cluster.internal.get(name, cluster.address[name]))
        for kind, row in kinds.items():
            must = CLOSED if is_stranger else expected(intruder, row)
            found[row] = intruder.ask(address, kind, service, intruder.role.number), must
        for path in PATHS[name]:
            row = f"http {path}"
            must = CLOSED if is_stranger else expected(intruder, row)
            for body in (None, b"{}"):
                if body is None or name == "frontend":
                    said = intruder.fetch(address, path, body)
                    found[f"{row} at {name} {body!r}"] = said, must
    return found


def test_strangers_read_and_write_nothing_and_members_only_what_their_roles_may(
    cluster: Cluster,
    strangers: list[Intruder],
    members: list[Intruder],
) -> None:
    before = state(cluster)
    rows: set[str] = set()
    for intruder in [*strangers, *members]:
        table = tried(cluster, intruder, intruder in strangers)
        rows |= {row.partition(" at ")[0] for row in table}
        wrong = {
            row: said
            for row, (said, must) in table.items()
            if (said != must if must is not None else said in (CLOSED, DENIED))
        }
        assert not wrong, intruder.name
    assert rows == ALLOWED.keys(), "a row that nothing here tries"
    assert state(cluster) == before
    body = {"name": "GameStart", "quantity": 1, "type": "buy"}
    assert cluster.request("POST", "/orders", body).status == 200


def test_a_replica_cannot_say_that_it_is_another(cluster: Cluster) -> None:
    trusts = ours(cluster).authority_file
    second = Intruder("order-2", trusts, ours(cluster), Role.order(2))
    said = second.ask(cluster.address["order-1"], 1, "order", sender=3)
    assert said == "the certificate of order-2 is not that of replica 3"


def test_a_service_says_once_in_a_while_whom_it_has_given_up(
    cluster: Cluster, strangers: list[Intruder]
) -> None:
    for intruder in strangers:
        intruder.fetch(cluster.address["order-3"], "/metrics")
    lines = [line for line in cluster.log.read_text().splitlines() if "was given up" in line]
    assert any("127.0.0.1 was given up: it does not speak TLS 1.3" in line for line in lines)
    assert len(lines) < 2 * 5 * len(cluster.address)


def test_a_role_is_what_a_certificate_says_not_what_its_file_is_called(
    cluster: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "renamed"
    ours(cluster).issue([Role.order(2)], issuing(), folder)
    for suffix in ("crt", "key"):
        (folder / f"order-2.{suffix}").rename(folder / f"frontend.{suffix}")
    renamed = CertificateFolder(folder)
    caller = Intruder("frontend", ours(cluster).authority_file, renamed, FRONTEND)
    with caller.channel(cluster.address["order-1"]) as channel:
        trade = next(each for each in methods(cluster, "order-1") if each.name == "Trade")
        assert caller.call(channel, trade, b"") == DENIED
