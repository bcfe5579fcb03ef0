"""What a replica answers when it is asked to change the members."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from tests.fakes.replicas import result_of
from twisted_bazaar.consensus.membership import AddMember, MembersChange, RemoveMember
from twisted_bazaar.errors import MembersRefused, NotLeader
from twisted_bazaar.order.servicer import Orders
from twisted_bazaar.rpc.bazaar.v1 import order_pb2
from twisted_bazaar.rpc.members import member_change_to_wire
from twisted_bazaar.security.options import InsideConfig


class Node:
    """A leader, as far as its members go."""

    def __init__(self) -> None:
        self.asked: list[tuple[MembersChange, int | None]] = []
        self.answer: Deferred[int] = succeed(830)

    def not_meant(self, to: int, cluster: str) -> None:
        return None

    def change_members(self, change: MembersChange, based_on: int | None) -> Deferred[int]:
        self.asked.append((change, based_on))
        return self.answer


def asked(node: Node, change: MembersChange, inside: InsideConfig | None = None) -> list[object]:
    parts: Any = node
    may_call = (inside or InsideConfig()).may_call
    nothing: Any = None
    orders = Orders(parts, nothing, nothing, lambda: 0.0, None, may_call)
    request = member_change_to_wire(change, 7, 3)
    return result_of(Deferred.fromCoroutine(orders.ChangeMembers(request, nothing)))


def test_a_change_is_begun() -> None:
    node = Node()
    assert asked(node, RemoveMember(1)) == [order_pb2.ChangeMembersReply(index=830)]
    assert node.asked == [(RemoveMember(1), 7)]


@pytest.mark.parametrize("final", [True, False])
def test_a_refusal_is_told(final: bool) -> None:
    node = Node()
    node.answer = fail(MembersRefused("why", is_final=final))
    reply = order_pb2.ChangeMembersReply(refusal="why", final=final)
    assert asked(node, RemoveMember(1)) == [reply]


def test_one_that_does_not_lead_says_so() -> None:
    node = Node()
    node.answer = fail(NotLeader())
    (told,) = asked(node, RemoveMember(1))
    assert isinstance(told, NotLeader)


def test_in_plain_text_no_member_is_added_that_other_machines_may_reach() -> None:
    node, there = Node(), AddMember(4, "10.0.0.4:7004")
    [reply] = asked(node, there)
    assert isinstance(reply, order_pb2.ChangeMembersReply)
    assert reply.final
    assert "10.0.0.4:7004, which would be called in plain text" in reply.refusal
    assert not node.asked
    asked(node, AddMember(4, "127.0.0.1:7004"))
    asked(node, there, InsideConfig(exposed="10.0.0.1:7001"))
    assert len(node.asked) == 2
