"""Roles as text, and what each may call."""

import pytest
from grpc_health.v1 import health_pb2

from twisted_bazaar.frontend.operations.challenges import PATH as MARKET
from twisted_bazaar.metrics.resource import PATH as METRICS
from twisted_bazaar.replica_ids import MAX_REPLICA
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, order_pb2, replication_pb2
from twisted_bazaar.rpc.descriptions import V1, V1ALPHA
from twisted_bazaar.rpc.frames.exchanges import APPLYING, FAR_BEHIND, REPLICATION
from twisted_bazaar.rpc.push import ANNOUNCEMENT_METHOD, PATH, PUSH_METHOD
from twisted_bazaar.security.roles import ALLOWED, Identity, Kind, Role, may_call

ROLES = [Role(Kind.FRONTEND), Role(Kind.CATALOG), Role.order(1), Role.order(12)]


@pytest.mark.parametrize(
    "role",
    [*ROLES, Role.order(MAX_REPLICA), Role(Kind.OPERATOR), Role(Kind.MONITOR)],
    ids=str,
)
def test_a_role_and_an_identity_are_read_as_they_are_written(role: Role) -> None:
    assert Role.parse(str(role)) == role
    identity = Identity("3f9c12ab", role)
    assert Identity.parse(str(identity)) == identity


@pytest.mark.parametrize(
    "text",
    [
        *("", "order", "order-0", "order-01", "order-x", "Frontend", "frontend-1", "catalog\n"),
        f"order-{MAX_REPLICA + 1}",
    ],
)
def test_another_text_is_no_role(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        Role.parse(text)


@pytest.mark.parametrize(
    "uri",
    [
        "bazaar://3f9c12ab/root",
        "bazaar://3F9C12AB/catalog",
        "bazaar://3f9c12a/catalog",
        "https://3f9c12ab/catalog",
        "bazaar://3f9c12ab/catalog/",
        "bazaar://3f9c12ab/catalog\n",
    ],
)
def test_another_uri_is_no_identity(uri: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        Identity.parse(uri)


def test_every_method_kind_of_frame_and_path_has_a_row_and_every_row_is_one_of_these() -> None:
    files = [catalog_pb2, order_pb2, replication_pb2, health_pb2]
    services = [each for file in files for each in file.DESCRIPTOR.services_by_name.values()]
    called = {f"/{each.full_name}/{name}" for each in services for name in each.methods_by_name}
    called |= {f"/{version}/ServerReflectionInfo" for version in (V1, V1ALPHA)}
    called |= {each.path for each in (*REPLICATION, *FAR_BEHIND, *APPLYING)}
    called |= {PUSH_METHOD, ANNOUNCEMENT_METHOD}
    paths = [PATH, MARKET, METRICS, b"/livez", b"/readyz"]
    called |= {f"http {path.decode()}" for path in paths}
    assert ALLOWED.keys() == called


def test_only_order_replicas_replicate_and_only_front_ends_trade() -> None:
    for method in ALLOWED:
        callers = {role for role in (*ROLES, Role(Kind.MONITOR)) if may_call(role, method)}
        if "Replication" in method or method.endswith(("Apply", "Listing")):
            assert callers == {Role.order(1), Role.order(12)}, method
        if method.endswith(("/Trade", "/Change", "/Campaign", "/HandOver", "/Subscribe")):
            assert callers == {Role(Kind.FRONTEND)}, method


def test_a_method_without_a_row_may_be_called_by_none() -> None:
    assert not any(may_call(role, "/bazaar.v1.Orders/Erase") for role in ROLES)
