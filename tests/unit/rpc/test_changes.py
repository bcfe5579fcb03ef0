"""Market operations as gRPC messages: what is sent arrives, and what makes no sense is refused."""

import pytest

from twisted_bazaar.errors import (
    BazaarError,
    ChangeRefused,
    Malformed,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
)
from twisted_bazaar.market import (
    Change,
    ChangeRefusal,
    Halted,
    Listed,
    Listing,
    Move,
    Repriced,
    Resumed,
)
from twisted_bazaar.rpc.bazaar.v1 import order_pb2
from twisted_bazaar.rpc.changes import (
    change_from_wire,
    change_to_wire,
    changed_from_wire,
    changed_to_wire,
)
from twisted_bazaar.sending import Sending

SENDING = Sending(term=3, life=7, number=9, expected=(), expires=(12.5,))


@pytest.mark.parametrize(
    "change",
    [
        Listed((Listing("New", 5, 9), Listing("Łódź", 7, 0))),
        Repriced("New", 12),
        Halted(()),
        Halted(("New", "Łódź")),
        Resumed(()),
        Resumed(("New",)),
        Move("Łódź", 0),
        Move("New", 7),
    ],
)
def test_a_change_arrives_as_it_was_sent(change: Change) -> None:
    wire = change_to_wire(change, SENDING, to=2, cluster="c").SerializeToString()
    request = order_pb2.ChangeRequest.FromString(wire)
    assert (request.to, request.cluster) == (2, "c")
    assert change_from_wire(request) == (change, SENDING)


@pytest.mark.parametrize(
    "spoil",
    [
        {"term": 0},
        {"life": 0},
        {"number": -1},
        {"expires": float("nan")},
        {"list": order_pb2.ListStocks()},
        {"change": None},
    ],
)
def test_what_no_front_end_sends_is_refused(spoil: dict[str, object]) -> None:
    request = change_to_wire(Repriced("New", 12), SENDING)
    for name, value in spoil.items():
        if isinstance(value, order_pb2.ListStocks):
            request.list.SetInParent()
        elif value is None:
            request.ClearField("reprice")
        else:
            setattr(request, name, value)
    with pytest.raises(Malformed):
        change_from_wire(request)


@pytest.mark.parametrize("index", [0, 812])
def test_the_index_of_the_entry_arrives(index: int) -> None:
    assert changed_from_wire(changed_to_wire(index)) == index


@pytest.mark.parametrize("why", ChangeRefusal)
def test_a_refusal_arrives_with_its_message(why: ChangeRefusal) -> None:
    with pytest.raises(ChangeRefused, match="^no such thing$") as refused:
        changed_from_wire(changed_to_wire(ChangeRefused(why, "no such thing")))
    assert refused.value.refusal is why


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (NotLeader(), NotLeader),
        (Overloaded("full"), Overloaded),
        (OutcomeUnknown("?"), OutcomeUnknown),
        (Unavailable("it stops"), OutcomeUnknown),
    ],
)
def test_what_is_certain_stays_so(outcome: BazaarError, kind: type[BazaarError]) -> None:
    with pytest.raises(kind):
        changed_from_wire(changed_to_wire(outcome))


def test_a_refusal_of_a_later_release_says_nothing() -> None:
    with pytest.raises(OutcomeUnknown):
        changed_from_wire(order_pb2.ChangeReply(refusal=77))  # type: ignore[arg-type]
