"""`twistd bazaar-catalog`: its options. `assembly` puts the catalog together."""

from pathlib import Path
from typing import ClassVar

import attrs
from twisted.application.service import Service

from twisted_bazaar.engine.options import PARTITIONS_HELP, partitions
from twisted_bazaar.runtime import options
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.services import Late, Process, prepare
from twisted_bazaar.security.options import InsideConfig, InsideOptions
from twisted_bazaar.timing import Timing
from twisted_bazaar.tracing.options import TraceConfig

__all__ = ["CatalogConfig", "Options", "makeService"]


@attrs.frozen
class CatalogConfig:
    """The options of one catalog, parsed."""

    listen: Address
    data: Path
    listing: Path | None
    secret: bytes = attrs.field(repr=False)
    """The cluster's secret; empty: none."""
    timing: Timing
    is_debugging: bool = False
    """Whether events at debug are logged."""
    trace: TraceConfig | None = attrs.field(default=None, kw_only=True)
    """Where traces go; None: nowhere."""
    partitions: int = attrs.field(default=1, kw_only=True)
    inside: InsideConfig = attrs.field(factory=InsideConfig, kw_only=True)


class Options(InsideOptions):
    """Options of a catalog."""

    synopsis = "[options]"
    longdesc = f"Market data, projected from the order log. {InsideOptions.longdesc}"
    optParameters: ClassVar = [
        ["listen", None, None, "HOST:PORT to serve gRPC on.", options.host_port],
        ["data", None, None, "Folder of the catalog's file.", options.folder],
        ["listing", None, None, "CSV file of the stocks to open with.", options.readable_file],
        ["partitions", None, 1, PARTITIONS_HELP, partitions],
        ["secret-file", None, None, "File of the cluster's secret.", options.secret_file],
    ]
    required = ("listen", "data")

    config: CatalogConfig

    def postOptions(self) -> None:
        super().postOptions()
        self.config = CatalogConfig(
            self["listen"],
            self["data"],
            self["listing"],
            self["secret-file"] or b"",
            self.timing,
            self.log_settings.is_debugging,
            trace=self.trace,
            partitions=self["partitions"],
            inside=self.inside([self["listen"]]),
        )


def makeService(given: Options) -> Service:
    """A catalog on the process's reactor."""
    from twisted.internet import reactor as installed

    reactor = prepare(installed)

    def make() -> Service:
        # gRPC takes a quarter of a second to import, which --help need not wait for.
        from .assembly import make_catalog

        return make_catalog(reactor, given.config, lambda: process.output.lost_lines)

    process = Process(reactor, given, "catalog", Late("bazaar-catalog", make))
    return process
