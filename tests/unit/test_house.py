"""The rules of the house, read from the source: who may know of what, and how large it may be."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

PACKAGE = ROOT / "twisted_bazaar"
GENERATED = PACKAGE / "rpc" / "bazaar"

PURE_PACKAGES = ["consensus"]
"""All modules of these decide, and know nothing of the world."""

PURE_MODULES = [
    "access",
    "backoff",
    "changes",
    "market",
    "ledger",
    "timing",
    "leases",
    "selection",
    "sending",
    "errors",
    "order_keys",
    "partitions",
    "rate",
    "replica_ids",
    "engine.options",
    "engine.rows",
    "engine.memory",
    "engine.calls",
    "engine.campaign",
    "engine.incumbent",
    "engine.leadership",
    "engine.sql",
    "engine.statement",
    "engine.shared_log",
    "engine.standing",
    "engine.tenure",
    "engine.window",
    "order.desk",
    "order.promptness",
    "order.questions",
    "order.search",
    "order.partitioned.moves",
    "order.sendings",
    "order.whole_market",
    "order.status",
    "catalog.admission",
    "catalog.holds",
    "catalog.projection",
    "catalog.publisher",
    "stock_names",
    "catalog.subscribers",
    "frontend.access.client_file",
    "frontend.access.gate",
    "frontend.access.orders",
    "frontend.api.description",
    "frontend.api.description.document",
    "frontend.api.description.failures",
    "frontend.api.description.headers",
    "frontend.api.description.live",
    "frontend.api.description.market",
    "frontend.api.description.page",
    "frontend.api.description.reading",
    "frontend.api.description.reasons",
    "frontend.api.description.schemas",
    "frontend.api.description.state",
    "frontend.api.description.trading",
    "frontend.api.description.vocabulary",
    "frontend.api.description.watching",
    "client.answers",
    "client.batch",
    "client.core",
    "client.errors",
    "client.requests",
    "client.retries",
    "client.settling",
    "client.sse",
    "client.steps",
    "client.stream",
    "client.values",
    "frontend.api.entity_tags",
    "frontend.api.batches",
    "frontend.api.description.batch",
    "frontend.api.listing",
    "frontend.api.old_shape",
    "frontend.api.queries",
    "frontend.api.trades",
    "frontend.api.requests",
    "frontend.api.streams",
    "frontend.api.times",
    "frontend.cache.breaker",
    "frontend.cache.figures",
    "frontend.cache.floors",
    "frontend.cache.quotes",
    "frontend.cache.recent",
    "frontend.cache.redis_values",
    "frontend.cache.signed_pushes",
    "frontend.election.leadership",
    "frontend.election.views",
    "frontend.partitions.description",
    "frontend.partitions.listing",
    "frontend.partitions.markets",
    "frontend.partitions.merging",
    "frontend.partitions.numbers",
    "frontend.partitions.placements",
    "frontend.partitions.streams",
    "frontend.positions",
    "frontend.events.asked",
    "frontend.events.encoding",
    "frontend.events.journal",
    "frontend.events.news",
    "frontend.events.merged_journal",
    "frontend.events.merged_reader",
    "frontend.events.reader",
    "frontend.events.shares",
    "frontend.events.turns",
    "frontend.limits.bucket",
    "frontend.limits.figures",
    "frontend.limits.limits",
    "frontend.lookups.queue",
    "frontend.lookups.whole_market",
    "frontend.operations.challenges",
    "frontend.operations.requests",
    "frontend.overview.parts",
    "frontend.overview.several",
    "frontend.trading.figures",
    "frontend.trading.gathering",
    "frontend.trading.lanes",
    "frontend.upstream.members",
    "frontend.trading.queue",
    "http.answers",
    "http.client_address",
    "http.connections",
    "http.figures",
    "http.hosts",
    "http.refusals",
    "http.request_ids",
    "http.sources",
    "http.texts",
    "metrics.figures",
    "metrics.stages",
    "rpc.bounds",
    "rpc.changes",
    "rpc.descriptions",
    "rpc.catalog_status",
    "rpc.following",
    "rpc.frames.format",
    "rpc.members",
    "rpc.partition_status",
    "rpc.push",
    "rpc.request_ids",
    "rpc.selections",
    "rpc.stocks",
    "rpc.wire",
    "rpc.serving.framing",
    "rpc.serving.http2",
    "rpc.serving.limits",
    "rpc.serving.liveness",
    "rpc.serving.pending",
    "rpc.serving.shortcut",
    "runtime.address",
    "runtime.endpoint",
    "runtime.log_settings",
    "runtime.redis_url",
    "runtime.seldom",
    "security.authority",
    "security.roles",
    "storage.archived",
    "storage.blocks",
    "storage.earlier",
    "storage.lines",
    "storage.links",
    "storage.places",
    "tools.backups.file_format",
    "tools.backups.until",
    "tools.order_table",
    "tracing.context",
    "tracing.followed",
    "tracing.spans",
    "status.judgement",
    "status.rates",
    "status.report",
]
"""So do these: time and chance are handed to them, and a test needs no network."""

WORLD = {
    "asyncio", "boto3", "botocore", "fcntl", "grpc", "hiredis", "klein", "os", "random",
    "secrets", "socket", "sqlite3", "ssl", "subprocess", "threading", "time", "treq", "twisted",
    "txredisapi", "zope",
}  # fmt: skip

MEANINGLESS_NAMES = {"utils", "util", "helper", "helpers", "manager", "misc", "common", "handler"}

MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 70
MAX_LINE_COLUMNS = 100


def sources() -> list[Path]:
    folders = ("twisted_bazaar", "plugins", "proto", "load", "examples", "tests")
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if GENERATED not in path.parents)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def module_path(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((each for each in candidates if each.is_file()), None)


def imports(path: Path) -> set[str]:
    """The full names that a module imports, wherever in it, but for those only types need."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    names: set[str] = set()
    todo: list[ast.AST] = [tree(path)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo += node.orelse
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names |= {f"{origin}.{alias.name}" for alias in node.names}
    return names


def reaches(path: Path) -> Iterator[tuple[Path, str]]:
    """What a module imports, directly or through other modules of ours: (importer, name)."""
    seen = {path}
    todo = [path]
    while todo:
        importer = todo.pop()
        for name in imports(importer):
            yield importer, name
            # `from .market import Trade` names the module before its last dot, and `from . import
            # market` the module itself.
            for candidate in (name, name.rpartition(".")[0]):
                ours = candidate.startswith("twisted_bazaar.") and module_path(candidate)
                if ours and ours not in seen:
                    seen.add(ours)
                    todo.append(ours)
                if ours:
                    break


def pure() -> list[str]:
    folders = [PACKAGE / name for name in PURE_PACKAGES]
    inside = [module_name(path) for folder in folders for path in sorted(folder.rglob("*.py"))]
    return [*inside, *(f"twisted_bazaar.{name}" for name in PURE_MODULES)]


@pytest.mark.parametrize("name", pure())
def test_pure_modules_import_no_reactor_thread_or_clock(name: str) -> None:
    path = module_path(name)
    assert path is not None, "a module that is renamed is renamed in the list as well"
    known = {
        f"{module_name(importer)} imports {imported}"
        for importer, imported in reaches(path)
        if imported.partition(".")[0] in WORLD
    }
    assert not known


def test_a_module_that_calls_itself_pure_is_on_the_list() -> None:
    called = {
        module_name(path)
        for path in PACKAGE.rglob("*.py")
        if "Pure." in (ast.get_docstring(tree(path)) or "").split("\n")[0]
    }
    assert called <= set(pure())


def test_what_the_architecture_calls_pure_is_on_the_list() -> None:
    row = re.compile(r"\| `([\w/]+)/` \| [^|]* \| ([^|]*) \|.*")
    rows = map(row.fullmatch, (ROOT / "docs" / "architecture.md").read_text().splitlines())
    called = {
        f"twisted_bazaar.{found[1]}.{name}".replace("/", ".")
        for found in rows
        if found is not None
        for name in re.findall(r"`([\w/]+)`", found[2])
    }
    assert len(called) > 50
    assert called <= set(pure())


def test_a_front_end_knows_order_and_catalog_only_through_rpc() -> None:
    known = {
        f"{module_name(path)} imports {name}"
        for path in (PACKAGE / "frontend").rglob("*.py")
        for name in imports(path)
        if f"{name}.".startswith(("twisted_bazaar.order.", "twisted_bazaar.catalog."))
    }
    assert not known


def test_only_make_service_touches_the_global_reactor() -> None:
    touching: set[str] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        module = tree(path)
        allowed = {
            inner
            for node in module.body
            if isinstance(node, ast.FunctionDef) and node.name == "makeService"
            for inner in ast.walk(node)
            if path.name == "tap.py"
        }
        for node in ast.walk(module):
            if not isinstance(node, ast.Import | ast.ImportFrom) or node in allowed:
                continue
            origin = node.module if isinstance(node, ast.ImportFrom) else None
            names = {f"{origin}.{each.name}" if origin else each.name for each in node.names}
            if "twisted.internet.reactor" in names:
                touching.add(f"{module_name(path)}:{node.lineno}")
    assert not touching


def test_plugins_import_nothing_of_ours() -> None:
    for path in (ROOT / "plugins").rglob("*.py"):
        assert imports(path) == {"twisted.application.service.ServiceMaker"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not [path for path in sources() if path.stem.strip("_") in MEANINGLESS_NAMES]


def test_modules_functions_and_lines_stay_small() -> None:
    large: list[str] = []
    for path in sources():
        where = path.relative_to(ROOT)
        lines = path.read_text().splitlines()
        if len(lines) > MAX_MODULE_LINES:
            large.append(f"{where} has {len(lines)} lines")
        wide = [n for n, line in enumerate(lines, 1) if len(line) > MAX_LINE_COLUMNS]
        large += [f"{where}:{n} is wider than {MAX_LINE_COLUMNS}" for n in wide]
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    large.append(f"{where}:{node.lineno} {node.name} has {length} lines")
    assert not large
