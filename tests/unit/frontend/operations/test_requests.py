"""Bodies of market operations: what is read, and what is refused by name."""

import json

import pytest

from twisted_bazaar.consensus.membership import AddMember, RemoveMember
from twisted_bazaar.frontend.operations.requests import (
    ChangeMembers,
    Lead,
    Operation,
    Show,
    decode_operation,
)
from twisted_bazaar.http.refusals import Reason, Refusal
from twisted_bazaar.market import Halted, Listed, Listing, Move, Repriced, Resumed


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ('{"operation": "price", "name": "A", "price": 15.99}', Repriced("A", 1599)),
        ('{"operation": "price", "name": "Łódź", "price": 16}', Repriced("Łódź", 1600)),
        ('{"operation": "price", "name": "A", "price": 16.0}', Repriced("A", 1600)),
        ('{"operation": "price", "name": "A", "price": 1.6e1}', Repriced("A", 1600)),
        ('{"operation": "price", "name": "A", "price": 0.07}', Repriced("A", 7)),
        ('{"operation": "price", "name": "A", "price": -1}', Repriced("A", -100)),
        ('{"operation": "halt", "names": ["A", "B"]}', Halted(("A", "B"))),
        ('{"operation": "halt", "all": true, "names": null}', Halted(())),
        ('{"operation": "resume", "all": true}', Resumed(())),
        ('{"operation": "resume", "names": ["A"]}', Resumed(("A",))),
        (
            '{"operation": "list", "stocks": [{"name": "A", "price": 1, "quantity": 10.0}]}',
            Listed((Listing("A", 100, 10),)),
        ),
        ('{"operation": "show"}', Show.MARKET),
        ('{"operation": "partitions"}', Show.PARTITIONS),
        ('{"operation": "move", "name": "A", "partition": 3}', Move("A", 3)),
        ('{"operation": "lead", "partition": 0, "member": 2}', Lead(0, 2)),
        ('{"operation": "lead", "partition": 999, "member": null}', Lead(999, 0)),
        ('{"operation": "lead", "partition": 1}', Lead(1, 0)),
        ('{"operation": "members"}', Show.MEMBERS),
        (
            '{"operation": "add-member", "member": 4, "address": "order-4:7004"}',
            ChangeMembers(AddMember(4, "order-4:7004")),
        ),
        (
            '{"operation": "remove-member", "member": 1, "based_on": 0}',
            ChangeMembers(RemoveMember(1), 0),
        ),
    ],
)
def test_an_operation_is_read(body: str, asked: Operation) -> None:
    assert decode_operation(body.encode()) == asked


def stock(**fields: object) -> str:
    stock = {"name": "A", "price": 1, "quantity": 1, **fields}
    return json.dumps({"operation": "list", "stocks": [stock]})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{}", "operation must be one of list, price, halt, resume, show, move, lead"),
        ("{}", "partitions, add-member, remove-member, members, not missing"),
        ('{"operation": "add-member", "member": 4}', "the field address is missing"),
        ('{"operation": "add-member", "member": 4, "address": 5}', "address must be text"),
        ('{"operation": "add-member", "member": 4, "address": "x"}', "address must be HOST:PORT"),
        ('{"operation": "remove-member", "member": 0}', "the id of an order replica"),
        (
            '{"operation": "remove-member", "member": 1, "based_on": -1}',
            "based_on must be the index of an entry",
        ),
        ('{"operation": "members", "member": 1}', 'unknown field "member"'),
        ('{"operation": "move", "name": "A"}', "the field partition is missing"),
        ('{"operation": "move", "name": "A", "partition": -1}', "from 0 to 999, not"),
        ('{"operation": "move", "name": "A", "partition": 1000}', "from 0 to 999, not"),
        ('{"operation": "lead", "member": 1}', "the field partition is missing"),
        ('{"operation": "lead", "partition": 0, "member": 0}', "the id of an order replica"),
        ('{"operation": "lead", "partition": 0, "member": 2147483648}', "the id of an order"),
        ('{"operation": "partitions", "all": true}', 'unknown field "all"'),
        ('{"operation": "buy"}', 'not "buy"'),
        ('{"operation": ["halt"]}', "not"),
        ('{"operation": "show", "all": true}', 'unknown field "all"'),
        ('{"operation": "price", "price": 1}', "the field name is missing"),
        ('{"operation": "price", "name": "A"}', "the field price is missing"),
        ('{"operation": "price", "name": "A", "price": 1, "quantity": 1}', '"quantity"'),
        ('{"operation": "price", "name": "A", "price": 1, "price": 2}', "given twice"),
        ('{"operation": "price", "name": "A", "price": "1"}', 'at most two decimals, not "1"'),
        ('{"operation": "price", "name": "A", "price": 1.001}', "1.001"),
        ('{"operation": "price", "name": "A", "price": 1e400}', "1E+400"),
        ('{"operation": "price", "name": "A", "price": 9e999999}', "9E+999999"),
        ('{"operation": "price", "name": "A", "price": -1e1000000}', "-1E+1000000"),
        ('{"operation": "price", "name": "A", "price": 1e-1000000}', "1E-1000000"),
        ('{"operation": "price", "name": "A", "price": NaN}', "NaN"),
        ('{"operation": "price", "name": "A", "price": true}', "true"),
        ('{"operation": "price", "name": 7, "price": 1}', "name must be text"),
        ('{"operation": "price", "name": "\\ud800", "price": 1}', "surrogate"),
        ('{"operation": "halt"}', "the field names is missing"),
        ('{"operation": "halt", "names": []}', "a list of names"),
        ('{"operation": "halt", "names": "A"}', 'not "A"'),
        ('{"operation": "halt", "names": ["A", 1]}', "name must be text"),
        ('{"operation": "halt", "all": false}', "all must be true, not"),
        ('{"operation": "halt", "all": true, "names": ["A"]}', 'unknown field "names"'),
        ('{"operation": "list", "stocks": []}', "a list of stocks"),
        ('{"operation": "list", "stocks": [1]}', "hold objects"),
        (stock(volume=1), 'unknown field "volume"'),
        (stock(quantity=1.5), "quantity must be a whole number, not"),
        (stock(price="x" * 999), "xxx…"),
    ],
)
def test_what_is_wrong_is_refused_by_name_and_shown(body: str, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        decode_operation(body.encode())
    assert refused.value.reason is Reason.INVALID_FIELD
    assert said in refused.value.message
    assert len(refused.value.message) < 250


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 99_999, b"{]" * 9])
def test_what_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        decode_operation(body)
    assert refused.value.reason is Reason.MALFORMED
