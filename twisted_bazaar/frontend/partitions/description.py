"""What the calls take and answer where the market has several partitions. Pure.

Only what differs is here: parameters and answers that hold numbers of orders, or where a list or
stream goes on, and examples that show each partition.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from twisted_bazaar.frontend.api.description.failures import refused
from twisted_bazaar.frontend.api.description.reading import FIRST
from twisted_bazaar.frontend.api.description.vocabulary import (
    Answer,
    Example,
    Operation,
    Parameter,
    holding,
)
from twisted_bazaar.frontend.api.streams import EVENTS, STOCKS
from twisted_bazaar.frontend.events import encoding
from twisted_bazaar.http import answers
from twisted_bazaar.market import Order
from twisted_bazaar.partitions import home, order_number
from twisted_bazaar.selection import Page
from twisted_bazaar.status.report import (
    CatalogInPartition,
    ClusterStatus,
    PartitionState,
    ReplicaInPartition,
)

from .listing import MergedList, decode_list, parameters, shown_merged, shown_partition
from .merging import Merge
from .numbers import shown_order
from .streams import LAST_EVENT_ID_OF_SEVERAL, after_of

__all__ = ["of_partitions"]

_replace = msgspec.structs.replace

_SHOWN_PARTITIONS = 4
"""So many are in an example at most, that it can be read."""


def of_partitions(operation: Operation, partitions: int) -> Operation:
    """`operation` as it is with so many partitions, which are several."""
    change = _CHANGES.get(operation.id)
    return operation if change is None else change(operation, partitions)


def _first(partitions: int) -> Order:
    """The first order of the examples, as clients see it."""
    return shown_order(FIRST, home(FIRST.stock, partitions), partitions)


def _with_body(
    operation: Operation, body: type[msgspec.Struct] | None = None, **others: Any
) -> Sequence[Answer]:
    """The answers, the first of which has another body, or others of its fields."""
    changed = others if body is None else {"body": body, **others}
    return (_replace(operation.answers[0], **changed), *operation.answers[1:])


def _order(operation: Operation, partitions: int) -> Operation:
    first = _first(partitions)

    def parameter(given: Parameter) -> Parameter:
        return _replace(given, example=first.number) if given.place == "path" else given

    def example(given: Example) -> Example:
        target = given.target.replace("/orders/1", f"/orders/{first.number}")
        answer = answers.order(first) if given.code == 200 else given.answer
        return _replace(given, target=target, answer=answer)

    return _replace(
        operation,
        parameters=tuple(map(parameter, operation.parameters)),
        answers=_with_body(operation, holding("OrderAnswer", answers.PartitionedOrder)),
        examples=tuple(map(example, operation.examples)),
    )


def _orders(operation: Operation, partitions: int) -> Operation:
    place = home(FIRST.stock, partitions)

    def shown(target: str, orders: Sequence[Order]) -> bytes:
        asked = decode_list(target.partition("?")[2].encode(), partitions)
        examined = max((order.number for order in orders), default=0)
        page = Page(orders, examined, ended=True)
        if not isinstance(asked, MergedList):
            return shown_partition(asked, page, partitions)
        merge = Merge(asked.selection, asked.positions)
        for partition in merge.wanted():
            merge.take(partition, page if partition == place else Page((), 0, ended=True))
        merge.wanted()
        return shown_merged(asked, merge)

    def example(given: Example) -> Example:
        if given.code != 200:
            return given
        found = json.loads(given.answer)["data"]
        return _replace(given, answer=shown(given.target, [FIRST] if found else []))

    of_one = f"/orders?partition={place}&after=0&limit=2"
    nowhere = f"after={_first(partitions).number}"
    return _replace(
        operation,
        says="All conditions must hold. Go on with `cursor`, now or later. The orders of one "
        "`partition` come by number, those of all by time; an order that comes later is shown "
        "later, whatever its time: none is skipped or shown twice.",
        parameters=parameters(partitions),
        answers=_with_body(operation, answers.PartitionedOrdersPage),
        examples=(
            *map(example, operation.examples),
            Example(says="Of one partition", target=of_one, answer=shown(of_one, [FIRST])),
            refused(
                "A number without its partition",
                f"/orders?{nowhere}",
                lambda _: decode_list(nowhere.encode(), partitions),
            ),
        ),
    )


def _events(operation: Operation, partitions: int) -> Operation:
    return _replace(
        operation,
        says="Server-sent events, without end. `order` has the order as `GET /orders/{number}` "
        "shows it: every one, once, and those of a partition in order. Its id says where the "
        "stream is in each partition. `quote` has the market data of a stock: of each at the "
        "start, and then of those that change, the last one if there are several. `leader` has "
        "the replica that leads a partition. `retry: 1000` comes first, and a comment every 15 s "
        "where there is nothing else. Connect again with the last id in `Last-Event-ID`, at any "
        "front-end: nothing is missing, and nothing comes twice. A part without `data` only sets "
        "the id.",
        parameters=(after_of(partitions), EVENTS, STOCKS, LAST_EVENT_ID_OF_SEVERAL),
        answers=_with_body(
            operation,
            events={
                "order": answers.PartitionedOrder,
                "quote": encoding.ShownQuote,
                "leader": encoding.ShownPartitionLeader,
            },
            event_id="Where the stream is in each partition.",
        ),
    )


def _placed(operation: Operation, partitions: int) -> Operation:
    number = order_number(1, home(FIRST.stock, partitions), partitions)

    def example(given: Example) -> Example:
        if given.code != 200:
            return given
        return _replace(
            given, answer=json.dumps(_numbered(json.loads(given.answer), number)).encode()
        )

    return _replace(operation, examples=tuple(map(example, operation.examples)))


def _numbered(value: Any, number: int) -> Any:
    """`value`, in which order 1 has another number."""
    if isinstance(value, list):
        return [_numbered(each, number) for each in value]
    if isinstance(value, dict):
        return {
            name: number if name == "transaction_number" and each == 1 else _numbered(each, number)
            for name, each in value.items()
        }
    return value


def _batch(operation: Operation, partitions: int) -> Operation:
    says = (
        "Each trade is judged by itself, those of a partition in their order, and has an outcome "
        "in its place: what it would be answered alone. Those of one partition go to its leader in "
        "one call, and what succeeds of them is committed together; there is no common commit of "
        "several partitions. A key is a field of its trade; `Idempotency-Key` is refused."
    )
    return _replace(_placed(operation, partitions), says=says)


def _leader(partition: int) -> int:
    """Which of three replicas leads, where each has had its turn to."""
    return 3 - partition % 3


def _role(replica: int, partition: int) -> str:
    return "leader" if replica == _leader(partition) else "follower"


def _replicas(operation: Operation, partitions: int) -> Operation:
    shown = range(min(partitions, _SHOWN_PARTITIONS))

    def example(given: Example) -> Example:
        reports = msgspec.json.decode(given.answer, type=dict[str, list[answers.ReplicaReport]])
        everywhere = [
            _replace(
                report,
                partitions=[
                    answers.PartitionReport(
                        partition=partition,
                        role=_role(report.id, partition),
                        term=report.term,
                        last_number=report.last_number,
                        last_index=report.last_index,
                        digest=report.digest,
                    )
                    for partition in shown
                ],
            )
            for report in reports["data"]
        ]
        return _replace(given, answer=answers.success(everywhere))

    return _replace(operation, examples=tuple(map(example, operation.examples)))


def _status(operation: Operation, partitions: int) -> Operation:
    shown = range(min(partitions, _SHOWN_PARTITIONS))

    def example(given: Example) -> Example:
        status = msgspec.json.decode(given.answer, type=dict[str, ClusterStatus])["data"]
        everywhere = _replace(
            status,
            catalogs=[
                _replace(
                    catalog,
                    partitions=[
                        CatalogInPartition(
                            partition=partition,
                            serving=catalog.serving,
                            lease_seconds=catalog.lease_seconds,
                            applied_index=catalog.applied_index,
                            behind=catalog.behind,
                        )
                        for partition in shown
                    ],
                )
                for catalog in status.catalogs
            ],
            replicas=[
                _replace(
                    replica,
                    partitions=[
                        ReplicaInPartition(
                            partition=partition,
                            role=_role(replica.id, partition),
                            term=replica.term,
                            last_number=replica.last_number,
                            last_index=replica.last_index,
                            behind=replica.behind,
                        )
                        for partition in shown
                    ],
                )
                for replica in status.replicas
            ],
            partitions=[
                PartitionState(
                    partition=partition,
                    leader=_leader(partition),
                    term=status.term,
                    preferred=0,
                    last_number=status.last_number,
                    last_index=2,
                )
                for partition in shown
            ],
            moved=[],
        )
        return _replace(given, answer=answers.success(everywhere))

    return _replace(operation, examples=tuple(map(example, operation.examples)))


_CHANGES: Mapping[str, Callable[[Operation, int], Operation]] = {
    "getOrder": _order,
    "listOrders": _orders,
    "watchEvents": _events,
    "placeOrder": _placed,
    "placeOrders": _batch,
    "listReplicas": _replicas,
    "getStatus": _status,
}
