"""How a bazaar is, as tables in a terminal, or as text."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from twisted_bazaar.status.judgement import Condition, Judgement, is_far_behind
from twisted_bazaar.status.rates import Rates
from twisted_bazaar.status.report import (
    CatalogState,
    ClusterStatus,
    FrontendState,
    PartitionState,
    ReplicaState,
    StockMove,
)

__all__ = ["shown", "unanswered"]

_UNKNOWN = "-"

_CONDITIONS = {
    Condition.WELL: ("all is well", "bold green"),
    Condition.IMPAIRED: ("works, but something is wrong", "bold yellow"),
    Condition.DOWN: ("no trade is possible", "bold red"),
}
_ROLES = {"leader": "bold green", "follower": "", "candidate": "yellow", "suspect": "bold red"}


def shown(
    status: ClusterStatus,
    judgement: Judgement,
    done: Rates,
    url: str,
    pids: Mapping[str, int],
) -> RenderableType:
    """The whole bazaar, as the front-end at `url` answered. `done` is what that has done lately,
    and `pids` the ids of processes by address."""
    text, style = _CONDITIONS[judgement.condition]
    lines = [Text.assemble((text, style), f"  {url}, release {status.version}, {status.time}")]
    lines += [Text(f"  {each}", style) for each in judgement.findings]
    if status.notice:
        lines.append(Text(f"  {status.notice}", "yellow"))
    tables = [_replicas(status, pids), _catalogs(status, pids), _frontends(status, pids)]
    if status.partitions:
        tables.insert(0, _partitions(status.partitions))
        if status.moved:
            tables.insert(1, _moved(status.moved))
    else:
        leader = f"replica {status.leader} leads" if status.leader else "no replica leads"
        term = f" in term {status.term}" if status.leader else ""
        lines.append(Text(f"{leader}{term}; the last order is number {status.last_number}"))
    return Group(*lines, *tables, _figures(status, done))


def unanswered(why: str, last: ClusterStatus | None) -> RenderableType:
    """That the front-end does not answer, and what it answered last."""
    line = Text(f"{why}; asking again", "bold red")
    if last is None:
        return line
    before = Text(f"before that, at {last.time}:", "dim")
    return Group(line, before, _replicas(last, {}), _catalogs(last, {}), _frontends(last, {}))


def _table(title: str) -> Table:
    return Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
    )


def _rows(title: str, columns: Sequence[str], pids: Mapping[str, int]) -> Table:
    """A table without rows; `_pid` is the last cell of each. A cell that comes from the answer is
    a `Text`: rich would take an address in brackets for its markup."""
    table = _table(title)
    for column in (*columns, *(["pid"] if pids else [])):
        is_number = column not in ("address", "role", "state")
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    return table


def _pid(pids: Mapping[str, int], address: str) -> list[str]:
    return [str(pids.get(address, _UNKNOWN))] if pids else []


def _partitions(partitions: Sequence[PartitionState]) -> Table:
    columns = ("partition", "leader", "term", "order", "entry", "preferred")
    table = _rows("partitions", columns, {})
    for each in partitions:
        table.add_row(
            str(each.partition),
            Text(str(each.leader)) if each.leader else Text("none", "bold red"),
            str(each.term),
            str(each.last_number),
            str(each.last_index),
            str(each.preferred or _UNKNOWN),
        )
    return table


def _moved(moved: Sequence[StockMove]) -> Table:
    table = _table("stocks that were moved")
    table.add_column("stock", no_wrap=True)
    table.add_column("partition", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for each in moved:
        state = Text("there") if each.arrived else Text("on its way", "bold yellow")
        table.add_row(Text(each.stock), str(each.partition), state)
    return table


def _replicas(status: ClusterStatus, pids: Mapping[str, int]) -> Table:
    columns = ("id", "address", "role", "term", "order", "entry", "behind", "for", "disk")
    table = _rows("replicas", columns, pids)
    for each in status.replicas:
        table.add_row(
            str(each.id),
            Text(each.address),
            _role(each),
            _number(each.term),
            _number(each.last_number),
            _number(each.last_index),
            _behind(each.behind, is_far_behind(each.behind, each.behind_seconds)),
            _UNKNOWN if each.behind_seconds is None else f"{each.behind_seconds:.1f} s",
            _milliseconds(each.disk_seconds),
            *_pid(pids, each.address),
            style="" if each.reachable else "dim",
        )
    return table


def _role(replica: ReplicaState) -> Text:
    if not replica.reachable:
        return Text("no answer", "bold red")
    if replica.partitions:
        led = [str(each.partition) for each in replica.partitions if each.role == "leader"]
        return Text(f"leads {', '.join(led)}", _ROLES["leader"]) if led else Text("leads none")
    if replica.joining is True:
        return Text("joining", "yellow")
    return Text(replica.role, _ROLES.get(replica.role, ""))


def _catalogs(status: ClusterStatus, pids: Mapping[str, int]) -> Table:
    table = _rows("catalogs", ("address", "state", "lease", "entry", "behind"), pids)
    for each in status.catalogs:
        table.add_row(
            Text(each.address),
            _state(each),
            _seconds(each.lease_seconds),
            _number(each.applied_index),
            _behind(each.behind, is_far_behind(each.behind, None)),
            *_pid(pids, each.address),
            style="" if each.reachable else "dim",
        )
    return table


def _state(catalog: CatalogState) -> Text:
    if not catalog.reachable:
        return Text("no answer", "bold red")
    if catalog.serving is None:
        return Text("does not say")
    return Text("serves", "bold green") if catalog.serving else Text("stands by")


def _frontends(status: ClusterStatus, pids: Mapping[str, int]) -> Table:
    table = _rows("front-ends", ("address", "state", "lease"), pids)
    for each in status.frontends:
        table.add_row(
            Text(each.address),
            _kept_out(each),
            _seconds(each.lease_seconds),
            *_pid(pids, each.address),
        )
    return table


def _kept_out(frontend: FrontendState) -> Text:
    if frontend.kept_out_seconds > 0:
        return Text(f"kept out for {frontend.kept_out_seconds:.0f} s", "bold yellow")
    caches = frontend.lease_seconds is not None
    state = "caches" if frontend.lease_seconds else "no lease" if caches else "no cache"
    return Text(f"{state}, answers this" if frontend.is_self else state)


def _figures(status: ClusterStatus, done: Rates) -> RenderableType:
    figures = status.figures
    table = _table(f"this front-end, in the last {done.seconds:.0f} s")
    table.add_column("")
    for column in ("a second", "median", "p99", "from the cache"):
        table.add_column(column, justify="right", no_wrap=True)
    hits = _UNKNOWN if done.hit_rate is None else f"{done.hit_rate:.1%}"
    table.add_row("requests", f"{done.requests:.1f}")
    table.add_row("lookups", f"{done.lookups:.1f}", *_percentiles(done.lookup_seconds), hits)
    table.add_row("orders", f"{done.orders:.1f}", *_percentiles(done.trade_seconds))
    counts = (
        f"connections: {figures.connections}, streams of events: {figures.streams}, "
        f"failures since its start: {figures.failures}"
    )
    return Group(table, Text(counts))


def _percentiles(seconds: tuple[float, float] | None) -> Sequence[str]:
    if seconds is None:
        return (_UNKNOWN, _UNKNOWN)
    return [_milliseconds(each) for each in seconds]


def _behind(entries: int | None, is_far: bool) -> Text:
    return Text(_number(entries), "bold red" if is_far else "")


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else str(value)


def _seconds(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.2f} s"


def _milliseconds(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else f"{seconds * 1000:.1f} ms"
