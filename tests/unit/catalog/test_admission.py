"""Which subscriptions a catalog admits, and for which addresses."""

import pytest

from twisted_bazaar.catalog.admission import REMEMBERED_LIVES, Admission
from twisted_bazaar.errors import Malformed, NotAuthorised
from twisted_bazaar.rpc.push import Subscription, prove

SECRET = b"0123456789abcdef"
HERE = "ipv4:127.0.0.1:50000"
ELSEWHERE = "ipv4:10.0.0.7:50000"


def subscription(address: str = "127.0.0.1:7010") -> Subscription:
    return Subscription(address=address, life=71, token="token")


def check(secret: bytes, address: str, peer: str) -> None:
    wanted = subscription(address)
    Admission(secret).check(wanted, prove(secret, wanted), peer)


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "0" * 64,
        "é" * 64,
        prove(b"", subscription()),
        prove(b"another secret!!", subscription()),
        prove(SECRET, subscription("127.0.0.1:7011")),
        prove(SECRET, Subscription(address="127.0.0.1:7010", life=72, token="token")),
        prove(SECRET, Subscription(address="127.0.0.1:7010", life=71, token="token2")),
        prove(SECRET, Subscription(address="127.0.0.1:7010", life=71, token="token", partition=1)),
        prove(SECRET, subscription()) + "0",
    ],
)
def test_a_subscription_without_the_right_proof_is_refused(proof: str) -> None:
    with pytest.raises(NotAuthorised, match="not signed"):
        Admission(SECRET).check(subscription(), proof, HERE)


def test_where_there_is_no_secret_one_with_a_secret_is_refused() -> None:
    with pytest.raises(NotAuthorised):
        Admission(b"").check(subscription(), prove(SECRET, subscription()), HERE)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:7010", "[::1]:7010", "10.0.0.7:1", "[fd00::7]:65535", "frontend-1:7010", "a.b:1"],
)
def test_with_the_secret_a_front_end_may_be_anywhere(address: str) -> None:
    check(SECRET, address, ELSEWHERE)


@pytest.mark.parametrize("secret", [SECRET, b""], ids=["with a secret", "without"])
@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:7010/x",
        "user@127.0.0.1:7010",
        "a b:7010",
        "host\r\nX: y:7010",
        "x" * 254 + ":7010",
        "0.0.0.0:7010",
        "[::]:7010",
        "169.254.169.254:80",
        "[::ffff:169.254.169.254]:80",
        "[fe80::1]:80",
        "224.0.0.1:80",
        "[ff02::1]:80",
        "255.255.255.255:80",
    ],
)
def test_where_no_front_end_can_be_none_is_told(secret: bytes, address: str) -> None:
    with pytest.raises(Malformed):
        check(secret, address, HERE)


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("127.0.0.1:7010", HERE),
        ("127.0.0.1:7010", "ipv6:[::1]:50000"),
        ("[::1]:7010", "ipv6:%5B::1%5D:50000"),
        ("10.0.0.7:7010", ELSEWHERE),
        ("10.0.0.7:7010", "ipv6:[::ffff:10.0.0.7]:50000"),
        ("frontend-1:7010", ELSEWHERE),
    ],
)
def test_without_a_secret_one_may_subscribe_for_oneself(address: str, peer: str) -> None:
    check(b"", address, peer)


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("10.0.0.8:7010", ELSEWHERE),
        ("127.0.0.1:7010", ELSEWHERE),
        ("10.0.0.7:7010", HERE),
        ("10.0.0.7:7010", "unix:/tmp/socket"),
        ("10.0.0.7:7010", ""),
    ],
)
def test_without_a_secret_no_caller_may_subscribe_for_another_machine(
    address: str, peer: str
) -> None:
    with pytest.raises(NotAuthorised, match="without a secret"):
        check(b"", address, peer)


def test_a_life_is_known_for_long() -> None:
    admission = Admission(SECRET)
    for life in range(REMEMBERED_LIVES):
        assert not admission.knows(life)
        admission.took(life)
    assert all(admission.knows(life) for life in range(REMEMBERED_LIVES))
    admission.took(REMEMBERED_LIVES)
    assert admission.knows(REMEMBERED_LIVES)
    assert not admission.knows(0), "what is remembered has a bound"
