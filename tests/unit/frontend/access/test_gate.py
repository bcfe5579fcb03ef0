import hmac
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from twisted_bazaar.access import UNKNOWN, Client, Permission
from twisted_bazaar.frontend.access.client_file import ClientEntry, hash_of
from twisted_bazaar.frontend.access.gate import Gate
from twisted_bazaar.http.refusals import Reason, Refusal

ALICE = Client("alice", frozenset({Permission.READ, Permission.TRADE}))
READER = Client("reader", frozenset({Permission.READ}))


def gate() -> Gate:
    return Gate(
        [
            ClientEntry(ALICE, (hash_of(b"bz_a"), hash_of(b"bz_a2"))),
            ClientEntry(READER, (hash_of(b"bz_r"),)),
        ]
    )


def admitted(
    present: Gate, authorization: list[bytes] | None, permission: Permission | None
) -> Client:
    """The client of a request with these headers, which `present` lets pass."""
    headers = SimpleNamespace(getRawHeaders={b"Authorization": authorization}.get)
    request: Any = SimpleNamespace(
        requestHeaders=headers, channel=SimpleNamespace(recognized=None), caller=None
    )
    present.admit(request, permission)
    caller: Client = request.caller
    return caller


def shown(present: Gate, key: bytes) -> Client:
    return admitted(present, [b"Bearer " + key], Permission.READ)


def refused(authorization: list[bytes] | None, permission: Permission) -> Refusal:
    with pytest.raises(Refusal) as caught:
        admitted(gate(), authorization, permission)
    return caught.value


@pytest.mark.parametrize(
    "header", [b"Bearer bz_a", b"bearer bz_a", b"BEARER   bz_a", b"Bearer bz_a2", b"Bearer bz_a \t"]
)
def test_each_api_key_of_a_client_is_its_own(header: bytes) -> None:
    assert admitted(gate(), [header], Permission.TRADE) == ALICE


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        (None, ""),
        ([], ""),
        ([b"Bearer bz_x"], "invalid_token"),
        ([b"Bearer bz_"], "invalid_token"),
        ([b"Bearer " + hash_of(b"bz_a").removeprefix("sha256:").encode()], "invalid_token"),
        ([b"bz_a"], "invalid_request"),
        ([b"Basic bz_a"], "invalid_request"),
        ([b"Bearer"], "invalid_request"),
        ([b"Bearer "], "invalid_request"),
        ([b"Bearer bz_a bz_a"], "invalid_request"),
        ([b"Bearer bz_a", b"Bearer bz_a"], "invalid_request"),
        ([b"Bearer bz_\xff"], "invalid_request"),
    ],
)
def test_without_the_api_key_of_a_client_a_call_is_401(
    headers: list[bytes] | None, error: str
) -> None:
    refusal = refused(headers, Permission.READ)
    assert (refusal.reason, refusal.code) == (Reason.UNAUTHENTICATED, 401)
    challenge = refusal.headers[b"WWW-Authenticate"].decode()
    assert challenge.startswith('Bearer realm="bazaar"')
    assert (f'error="{error}"' in challenge) == bool(error)
    assert "bz_" not in refusal.message


def test_a_client_without_the_permission_is_403() -> None:
    refusal = refused([b"Bearer bz_r"], Permission.TRADE)
    assert (refusal.reason, refusal.code) == (Reason.NOT_PERMITTED, 403)
    assert "reader" in refusal.message
    assert "trade" in refusal.message


@pytest.mark.parametrize("headers", [None, [b"Bearer bz_x"], [b"Basic eA=="]])
def test_what_needs_no_permission_is_open_to_all(headers: list[bytes] | None) -> None:
    assert admitted(gate(), headers, None) is UNKNOWN
    assert admitted(gate(), [b"Bearer bz_r"], None) == READER


def test_other_clients_from_now_on() -> None:
    present = gate()
    present.replace([ClientEntry(READER, (hash_of(b"bz_new"),))])
    assert present.client_of(b"bz_new") == READER
    assert present.client_of(b"bz_r") is present.client_of(b"bz_a") is None


def test_who_is_removed_or_may_do_something_else_has_lost_what_it_had() -> None:
    present = gate()
    reader, alice = shown(present, b"bz_r"), shown(present, b"bz_a")
    assert not present.has_lost(reader)
    present.replace([ClientEntry(Client("reader", frozenset()), (hash_of(b"bz_r"),))])
    assert present.has_lost(reader)
    assert present.has_lost(alice)


def test_who_has_shown_an_api_key_that_is_retired_has_lost_what_it_had() -> None:
    present = gate()
    former, newest = shown(present, b"bz_a"), shown(present, b"bz_a2")
    present.replace([ClientEntry(ALICE, (hash_of(b"bz_a2"),))])
    assert present.has_lost(former)
    assert not present.has_lost(newest)
    present.replace([ClientEntry(attrs.evolve(ALICE, rate=5.0), (hash_of(b"bz_a2"),))])
    assert not present.has_lost(newest)


def test_what_is_shown_is_compared_as_a_hash_and_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    present = gate()
    assert present.client_of(b"bz_a") == ALICE
    assert present.client_of(b"bz_x") is None
    assert [len(each) for pair in compared for each in pair] == [32] * 4


def test_it_keeps_no_api_key() -> None:
    assert "bz_" not in repr(vars(gate()))
