"""How a member sees each partition, and where stocks are, as protobuf messages. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from twisted_bazaar.consensus.messages import PartitionStatus, StockPlacement
from twisted_bazaar.market import MAX_NAME_CHARACTERS, MAX_STOCKS
from twisted_bazaar.partitions import MAX_PARTITIONS

from . import bounds
from .bazaar.v1 import order_pb2

__all__ = ["part_to_wire", "partitions_from_wire", "placements_from_wire"]


def part_to_wire(
    part: PartitionStatus | StockPlacement,
) -> order_pb2.PartitionStatus | order_pb2.Placement:
    """The message that says `part` of a status."""
    fields = msgspec.structs.asdict(part)
    if isinstance(part, PartitionStatus):
        return order_pb2.PartitionStatus(**fields)
    return order_pb2.Placement(**fields)


def partitions_from_wire(
    wire: Sequence[order_pb2.PartitionStatus],
) -> tuple[PartitionStatus, ...]:
    """The inverse of `part_to_wire`, of all partitions. Raises `Malformed`."""
    bounds.check_count("partitions", len(wire), MAX_PARTITIONS)
    return tuple(map(_partition_from_wire, wire))


def _partition_from_wire(wire: order_pb2.PartitionStatus) -> PartitionStatus:
    _check(wire, ("partition", "term", "leader", "last_index", "last_number", "preferred"))
    for name in ("role", "digest", "cluster"):
        bounds.check_of(name, str)(name, getattr(wire, name))
    return PartitionStatus(
        partition=wire.partition,
        role=wire.role,
        term=wire.term,
        leader=wire.leader,
        last_index=wire.last_index,
        last_number=wire.last_number,
        digest=wire.digest,
        cluster=wire.cluster,
        preferred=wire.preferred,
    )


def placements_from_wire(wire: Sequence[order_pb2.Placement]) -> tuple[StockPlacement, ...]:
    """The inverse of `part_to_wire`, of all stocks that were moved. Raises `Malformed`."""
    bounds.check_count("placements", len(wire), MAX_PARTITIONS * MAX_STOCKS)
    return tuple(map(_placement_from_wire, wire))


def _placement_from_wire(wire: order_pb2.Placement) -> StockPlacement:
    _check(wire, ("partition",))
    bounds.check_text("stock", wire.stock, MAX_NAME_CHARACTERS)
    return StockPlacement(stock=wire.stock, partition=wire.partition, arrived=wire.arrived)


def _check(wire: order_pb2.PartitionStatus | order_pb2.Placement, names: Iterable[str]) -> None:
    for name in names:
        bounds.check_integer(name, getattr(wire, name), bounds.most(name))
