"""`twistd bazaar-order`: its options. `assembly` puts the order replica together."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs
from twisted.application.service import Service
from twisted.python import usage

from twisted_bazaar.engine.options import ENGINE_HELP, PARTITIONS_HELP, engine_url, partitions
from twisted_bazaar.replica_ids import read_replica
from twisted_bazaar.runtime import options
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.services import Late, Process, prepare
from twisted_bazaar.security.options import InsideConfig, InsideOptions
from twisted_bazaar.storage.leaving import Keep
from twisted_bazaar.storage.logfile import SEGMENT_BYTES
from twisted_bazaar.timing import Timing
from twisted_bazaar.tracing.options import TraceConfig

from .keeping import KEEP_HELP, archive_place, bytes_of, parse_keep

__all__ = ["Options", "OrderConfig", "makeService"]


_ANY = ("0.0.0.0", "::")
"""Hosts that say where to listen only."""


@attrs.frozen
class OrderConfig:
    """The options of one order replica, parsed."""

    replica: int
    """This replica's id, from 1."""
    listen: Address
    data: Path
    peers: Mapping[int, Address]
    """By id: the other replicas."""
    catalogs: tuple[Address, ...]
    timing: Timing
    is_debugging: bool = False
    """Whether events at debug are logged."""
    trace: TraceConfig | None = attrs.field(default=None, kw_only=True)
    """Where traces go; None: nowhere."""
    engine: str = attrs.field(default="", kw_only=True, repr=False)
    """The URL of the engine that keeps the log, perhaps with a password; empty: it is in `data`,
    and this is a replica of a Raft group."""
    partitions: int = attrs.field(default=1, kw_only=True)
    inside: InsideConfig = attrs.field(factory=InsideConfig, kw_only=True)
    join: bool = attrs.field(default=False, kw_only=True)
    """Whether it is to join a cluster, of which `peers` are members."""
    advertise: Address | None = attrs.field(default=None, kw_only=True)
    """Where the others reach it; None: at `listen`."""
    keep: Keep | None = attrs.field(default=None, kw_only=True)
    """What stays in the log at least; None: all."""
    archive: str = attrs.field(default="", kw_only=True)
    """Where entries are that have left the log; empty: in `data`."""
    segment_bytes: int = attrs.field(default=SEGMENT_BYTES, kw_only=True)

    @property
    def advertised(self) -> Address | None:
        """Where the others reach it; None: that is not known."""
        if self.advertise is None and self.listen.host in _ANY:
            return None
        return self.advertise or self.listen


class Options(InsideOptions):
    """Options of one order replica."""

    synopsis = "[options]"
    longdesc = f"One replica of the order service. {InsideOptions.longdesc}"
    optParameters: ClassVar = [
        ["id", None, None, "This replica's id, from 1.", read_replica],
        ["listen", None, None, "HOST:PORT to serve gRPC on.", options.host_port],
        [
            "advertise",
            None,
            None,
            "HOST:PORT at which replicas and front-ends reach it, if not as --listen says.",
            options.host_port,
        ],
        [
            "data",
            None,
            None,
            "Folder of the order log and its index; with an engine, of a lock.",
            options.folder,
        ],
        ["engine", None, None, ENGINE_HELP, engine_url],
        ["partitions", None, 1, PARTITIONS_HELP, partitions],
        ["keep", None, None, KEEP_HELP, parse_keep],
        [
            "archive",
            None,
            "",
            "Folder, or s3://BUCKET/PREFIX, of what has left the log; else where the "
            "log says that it is, or DATA/archive. Replicas of one bazaar may share it.",
            archive_place,
        ],
        [
            "segment",
            None,
            SEGMENT_BYTES,
            "Size at which a file of the log is closed, and the next one begun.",
            bytes_of,
        ],
    ]
    optFlags: ClassVar = [
        ["join", None, "Join the cluster of the peers, once an operator has added this replica."],
    ]
    repeated: ClassVar = [
        (
            "peer",
            "ID=HOST:PORT of another replica; needed until the log names the members.",
            options.id_address,
        ),
        ("catalog", "HOST:PORT of a catalog, which learns from the leader.", options.host_port),
    ]
    required = ("id", "listen", "data")

    config: OrderConfig

    def postOptions(self) -> None:
        super().postOptions()
        peers = self.by_id("peer")
        if self["id"] in peers:
            raise usage.UsageError(f"--peer must not name this replica's own id, {self['id']}")
        self._check_engine()
        if self["join"] and not peers:
            raise usage.UsageError("--join needs a --peer, to ask who the members are")
        self.config = OrderConfig(
            self["id"],
            self["listen"],
            self["data"],
            peers,
            self["catalog"],
            self.timing,
            self.log_settings.is_debugging,
            trace=self.trace,
            engine=self["engine"] or "",
            partitions=self["partitions"],
            inside=self.inside([self["listen"], *peers.values(), *self["catalog"]]),
            join=bool(self["join"]),
            advertise=self["advertise"],
            keep=self["keep"],
            archive=self["archive"],
            segment_bytes=self["segment"],
        )

    def _check_engine(self) -> None:
        if self["engine"]:
            self.check_engine_timing()
            if self["join"]:
                raise usage.UsageError("--join is for replicas: members of an engine just start")
            if self["keep"]:
                raise usage.UsageError("--keep is for replicas: an engine keeps all of its log")
        elif self["partitions"] > 1:
            raise usage.UsageError("--partitions must be 1 without --engine")


def makeService(given: Options) -> Service:
    """An order replica on the process's reactor."""
    from twisted.internet import reactor as installed

    reactor = prepare(installed)

    def make() -> Service:
        # gRPC takes a quarter of a second to import, which --help need not wait for.
        if given.config.engine:
            from .partitioned.assembly import make_member

            return make_member(reactor, given.config, lambda: process.output.lost_lines)
        from .assembly import make_order_replica

        return make_order_replica(reactor, given.config, lambda: process.output.lost_lines)

    name = f"order-{given.config.replica}"
    process = Process(reactor, given, name, Late("bazaar-order", make))
    return process
