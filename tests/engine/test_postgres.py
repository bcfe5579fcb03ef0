"""What only a log in PostgreSQL can do wrong: waits, connections, the schema, and reports."""

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random

import psycopg
import pytest

from twisted_bazaar.engine.connection import Session
from twisted_bazaar.engine.postgres import PostgresEngine, PostgresLog
from twisted_bazaar.engine.schema import Migration, migrations, prepare
from twisted_bazaar.engine.servers import Servers
from twisted_bazaar.engine.shared_log import EngineError, Lost, Refused, Released, Unknown
from twisted_bazaar.errors import Unusable
from twisted_bazaar.market import Repriced
from twisted_bazaar.selection import Selection

from .engines import TriedPostgres
from .server import PostgresServer
from .writer import LISTED, Writer, tail_of

WAIT_NEXTS = 10.0
_databases = count(1)


@pytest.fixture
def url(server: PostgresServer) -> str:
    """Of an empty database."""
    return server.database(f"empty-{next(_databases)}")


def leader(tried: TriedPostgres) -> Writer:
    writer = Writer(tried.log())
    writer.claim()
    writer.append(writer.batch(LISTED))
    return writer


class Called:
    """A call on a thread of its own, and what it raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.raised: BaseException | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except EngineError as error:
            self.raised = error

    def end(self) -> BaseException | None:
        self._thread.join(WAIT_NEXTS)
        assert not self._thread.is_alive()
        return self.raised


def until_waiting(server: PostgresServer, event: str, sessions: int = 1) -> None:
    """Until so many sessions wait for this."""
    deadline = time.monotonic() + WAIT_NEXTS
    sql = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event = '{event}'"
    while server.execute(sql) != [(sessions,)]:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_reads_do_not_wait_for_a_write_of_another_connection(in_postgres: TriedPostgres) -> None:
    writer, server = leader(in_postgres), in_postgres.server
    batch = writer.orders(["a"])
    with server.not_replicated(cancel=False):
        append = Called(lambda: writer.append(batch))
        until_waiting(server, "SyncRep")
        assert in_postgres.log().find(["a"]).index == 2, "it is not visible yet"
        assert in_postgres.engine.tails()[0][in_postgres.partition].index == 2
        writer.log.cut()
        assert isinstance(append.end(), Unknown)
    writer.again(batch)
    assert tail_of(writer.log).last_number == 1


def test_a_batch_whose_connection_was_cut_lands_late_and_a_claim_waits_for_it(
    in_postgres: TriedPostgres,
) -> None:
    old, server = leader(in_postgres), in_postgres.server
    new = Writer(in_postgres.log(), 2)
    batch = old.orders(["a"])
    with server.not_replicated(cancel=False):
        append = Called(lambda: old.append(batch))
        until_waiting(server, "SyncRep")
        old.log.cut()
        assert isinstance(append.end(), Unknown)
        claim = Called(new.claim)
        until_waiting(server, "transactionid")
    assert isinstance(claim.end(), Lost)
    assert tail_of(new.log).last_number == 1
    old.again(batch)


def test_a_batch_that_is_sent_again_waits_for_its_first_sending(
    in_postgres: TriedPostgres,
) -> None:
    writer, server = leader(in_postgres), in_postgres.server
    batch = writer.orders(["a"])
    with server.not_replicated(cancel=False):
        append = Called(lambda: writer.append(batch))
        until_waiting(server, "SyncRep")
        writer.log.cut()
        assert isinstance(append.end(), Unknown)
        again = Called(lambda: writer.again(batch))
        until_waiting(server, "transactionid")
    assert again.end() is None
    assert (tail_of(writer.log).last_number, tail_of(writer.log).beat) == (1, 2)


def test_a_session_that_is_ended_while_it_waits_is_unknown(in_postgres: TriedPostgres) -> None:
    writer, server = leader(in_postgres), in_postgres.server
    batch = writer.orders(["a"])
    with server.not_replicated(cancel=False):
        append = Called(lambda: writer.append(batch))
        until_waiting(server, "SyncRep")
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        )
        assert isinstance(append.end(), Unknown)
    writer.again(batch)
    assert tail_of(writer.log).last_number == 1


def test_a_server_that_became_read_only_refuses_and_is_left(in_postgres: TriedPostgres) -> None:
    writer, server = leader(in_postgres), in_postgres.server
    batch = writer.orders(["a"])
    with server.set("default_transaction_read_only", "on"):
        with pytest.raises(Refused):
            writer.append(batch)
        with pytest.raises(Unknown, match="read-only"):
            writer.again(batch)
    writer.again(batch)


def test_settings_of_the_database_do_not_weaken_a_commit(server: PostgresServer, url: str) -> None:
    for setting in ("synchronous_commit = off", "statement_timeout = 1",
                    "default_transaction_isolation = 'serializable'"):  # fmt: skip
        server.execute(f'ALTER DATABASE "{url.split("/")[3].split("?")[0]}" SET {setting}')
    engine = PostgresEngine.open(url, partitions=1, name="set")
    session = Writer(engine.log(0)).log._session  # type: ignore[attr-defined]
    for name, value in (("synchronous_commit", b"on"), ("statement_timeout", b"0"),
                        ("default_transaction_isolation", b"read committed")):  # fmt: skip
        assert session.run_script(f"SHOW {name}") == [[value]]
    engine.close()


def test_stocks_are_what_the_entries_say_however_often_they_are_written(
    in_postgres: TriedPostgres, fresh_seed: int
) -> None:
    random = Random(fresh_seed)
    engine, partition = in_postgres.engine, in_postgres.partition
    assert isinstance(engine, PostgresEngine)
    logs = [PostgresLog(engine.log(partition)._session, partition, 5) for _ in range(2)]
    writers = [Writer(log, number) for number, log in enumerate(logs, 1)]
    reader, writer = engine.log(partition), writers[0]
    writer.claim()
    writer.append(writer.batch(LISTED))
    for number in range(60):
        if random.random() < 0.15:
            lost = writer.orders([f"lost{number}"], MENHIR)
            if random.random() < 0.5:
                writer.log.cut()
                with pytest.raises(Unknown):
                    writer.append(lost)
            writer = random.choice(writers)
            writer.follow(writer.log.snapshot() if random.random() < 0.5 else logs[0].snapshot())
            writer.claim()
        stock = random.choice(["FishCo", MENHIR])
        batch = writer.orders([f"k{number}-{n}" for n in range(random.randrange(1, 4))], stock)
        if random.random() < 0.1:
            batch = writer.append(batch) and writer.batch(Repriced(stock, number + 1))
        if random.random() < 0.2:
            writer.log.cut()
            with pytest.raises(Unknown):
                writer.append(batch)
            writer.again(batch)
        else:
            writer.append(batch)
            if random.random() < 0.2:
                writer.again(batch)
        for log in (reader, writer.log):
            found = log.snapshot()
            assert {each.name: each for each in found.stocks} == writer.ledger.stocks, fresh_seed
            assert found.tail.last_number == writer.ledger.last_number
            if random.random() < 0.5:
                break


MENHIR = LISTED.stocks[1].name


def flushed(writer: Writer, tried: TriedPostgres) -> None:
    """Stocks are written, and are what the entries say."""
    writer.append(writer.batch(Repriced(MENHIR, 7)))
    found = {each.name: each for each in tried.log().snapshot().stocks}
    assert found == writer.ledger.stocks


def test_a_batch_that_never_landed_leaves_nothing_for_a_later_lead(
    in_postgres: TriedPostgres,
) -> None:
    writer = leader(in_postgres)
    writer.append(writer.orders(["a"]))
    seen = in_postgres.log().snapshot()
    writer.log.cut()
    with pytest.raises(Unknown):
        writer.append(writer.orders(["never"]))
    writer.follow(seen)
    writer.claim()
    flushed(writer, in_postgres)


def test_a_claim_by_a_log_that_loaded_nothing_knows_what_is_to_be_written(
    in_postgres: TriedPostgres,
) -> None:
    old = leader(in_postgres)
    old.append(old.orders(["a"]))
    new = Writer(in_postgres.log(), 2)
    new.log = in_postgres.log()
    new.claim()
    flushed(new, in_postgres)


def test_a_change_of_the_market_and_a_claim_do_not_wait_for_each_other(
    in_postgres: TriedPostgres,
) -> None:
    old, new = leader(in_postgres), Writer(in_postgres.log(), 2)
    row = f"SELECT FROM bazaar.partitions WHERE part = {in_postgres.partition} FOR UPDATE"
    with psycopg.connect(in_postgres.url) as admin:
        admin.execute(row)
        claim = Called(new.claim)
        until_waiting(in_postgres.server, "transactionid")
        batch = old.batch(Repriced("FishCo", 1))
        append = Called(lambda: old.append(batch))
        until_waiting(in_postgres.server, "tuple")
    assert claim.end() is None
    assert isinstance(append.end(), Lost)


@contextmanager
def silent_server() -> Iterator[Path]:
    """The folder of the socket of a server that takes connections, and says nothing."""
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{name}/.s.PGSQL.5432")
        listening.listen()
        yield Path(name)


def hosts(url: str, *first: Path) -> str:
    before, folder = url.split("?host=")
    return f"{before}?host={','.join([*map(str, first), folder])}"


def test_a_silent_server_does_not_hold_up_a_connection_to_another(url: str) -> None:
    with silent_server() as silent, tempfile.TemporaryDirectory() as empty:
        began = time.monotonic()
        engine = PostgresEngine.open(hosts(url, silent, Path(empty)), partitions=1, name="hosts")
        assert time.monotonic() - began < 1.9, "libpq waits for 2 s"
        engine.close()


def test_a_connection_that_is_being_opened_is_cut(url: str) -> None:
    with silent_server() as silent:
        session = Session(Servers(f"postgresql:///x?host={silent}&connect_timeout=60"), ())
        call = Called(lambda: session.run_script("SELECT 1"))
        time.sleep(0.05)
        session.cut()
        assert isinstance(call.end(), Unknown)


def test_what_one_session_was_cut_from_others_leave(url: str) -> None:
    servers = Servers(url)
    first, other = Session(servers, ()), Session(servers, ())

    def backend(session: Session) -> object:
        return session.run_script("SELECT pg_backend_pid()")

    backend(first)
    before = backend(other)
    with other.one_connection():
        first.cut()
        with pytest.raises(Unknown):
            backend(first)
        assert backend(other) == before, "what it has begun is of one server"
    assert backend(other) != before
    other.drop()


def test_a_closed_engine_ends_its_calls(in_postgres: TriedPostgres) -> None:
    engine = PostgresEngine.open(in_postgres.url, partitions=200, name="")
    log = engine.log(in_postgres.partition)
    writer = Writer(log)
    with in_postgres.server.not_replicated(cancel=False):
        claim = Called(writer.claim)
        until_waiting(in_postgres.server, "SyncRep")
        engine.close()
        assert isinstance(claim.end(), Unknown)
    with pytest.raises(Unknown, match="closed"):
        log.snapshot()
    with pytest.raises(Unknown, match="closed"):
        engine.tails()


def test_a_database_keeps_its_name_and_its_number_of_partitions(url: str) -> None:
    first = PostgresEngine.open(url, partitions=2, name="first")
    again = PostgresEngine.open(url, partitions=2, name="again")
    assert first.bazaar == again.bazaar
    assert (first.bazaar.name, first.bazaar.partitions) == ("first", 2)
    with pytest.raises(Unusable, match="created with 2, which never changes, not with 3"):
        PostgresEngine.open(url, partitions=3, name="other")
    first.close()
    again.close()


def test_members_that_open_a_new_database_at_once_agree(url: str) -> None:
    opened: list[PostgresEngine] = []

    def open_one(name: str) -> Called:
        return Called(lambda: opened.append(PostgresEngine.open(url, partitions=4, name=name)))

    assert [call.end() for call in [open_one(name) for name in "abc"]] == [None] * 3
    assert len({engine.bazaar.name for engine in opened}) == 1
    assert [tail.partition for tail in opened[0].tails()[0]] == [0, 1, 2, 3]
    for engine in opened:
        engine.close()


def test_an_owner_who_may_make_no_role_has_a_bazaar_without_one(
    server: PostgresServer, url: str
) -> None:
    server.execute("CREATE ROLE owner LOGIN")
    database = url.split("/")[3].split("?")[0]
    server.execute(f'ALTER DATABASE "{database}" OWNER TO owner')
    server.execute("DO $$ BEGIN ALTER ROLE bazaar_reports RENAME TO elsewhere; EXCEPTION"
                   " WHEN undefined_object THEN CREATE ROLE elsewhere; END $$")  # fmt: skip
    try:
        engine = PostgresEngine.open(url.replace("postgres@", "owner@"), partitions=1, name="own")
        Writer(engine.log(0)).claim()
        engine.close()
    finally:
        server.execute("ALTER ROLE elsewhere RENAME TO bazaar_reports")


def test_a_statement_that_is_not_prepared_any_more_is_prepared_again(
    in_postgres: TriedPostgres,
) -> None:
    writer = leader(in_postgres)
    writer.append(writer.orders(["a"]))
    batch = writer.orders(["b"])
    writer.log._session.run_script("DEALLOCATE ALL")  # type: ignore[attr-defined]
    with pytest.raises(Refused):
        writer.append(batch)
    writer.again(batch)


def test_a_page_is_of_one_connection(in_postgres: TriedPostgres) -> None:
    writer = leader(in_postgres)
    writer.append(writer.orders(["a"], at=1))
    writer.beats(released=Released(index=3, number=1))
    log = in_postgres.log()
    session = log._session  # type: ignore[attr-defined]
    with session.one_connection():
        assert log.orders(Selection(limit=1, since=1), 1).orders
        in_postgres.server.execute(
            f"SELECT pg_terminate_backend({session._connection.backend_pid})"
        )
        for _ in range(2):
            with pytest.raises(Unknown):
                log.orders(Selection(limit=1, since=1), 1)
    assert log.orders(Selection(limit=1, since=1), 1).orders


def test_a_log_is_closed_while_it_is_called(in_postgres: TriedPostgres) -> None:
    writer, server = leader(in_postgres), in_postgres.server
    batch = writer.orders(["a"])
    with server.not_replicated(cancel=False):
        append = Called(lambda: writer.append(batch))
        until_waiting(server, "SyncRep")
        writer.log.close()
        assert isinstance(append.end(), Unknown)
    writer.again(batch)


def test_logs_that_are_not_used_any_more_are_not_kept(in_postgres: TriedPostgres) -> None:
    engine = in_postgres.engine
    assert isinstance(engine, PostgresEngine)
    before = len(engine._sessions)
    log = in_postgres.log()
    assert len(engine._sessions) == before + 1
    del log
    assert len(engine._sessions) <= before


def test_an_engine_that_cannot_be_used_is_one_line(server: PostgresServer) -> None:
    missing = server.url("missing")
    with pytest.raises(Unusable, match='^the engine: .*database "missing" does not exist$'):
        PostgresEngine.open(missing, partitions=1, name="")
    with pytest.raises(Unusable) as raised:
        PostgresEngine.open("postgresql://me:secret@host/?nonsense=1", partitions=1, name="")
    assert "secret" not in str(raised.value)


def test_a_server_that_is_not_there_may_be_there_later() -> None:
    with tempfile.TemporaryDirectory() as empty, pytest.raises(Unknown):
        PostgresEngine.open(f"postgresql:///x?host={empty}", partitions=1, name="")


def test_names_and_keys_need_utf8(server: PostgresServer) -> None:
    server.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
    with pytest.raises(Unusable, match="UTF8"):
        PostgresEngine.open(server.url("ascii"), partitions=1, name="")


def prepared(url: str, known: Sequence[Migration]) -> None:
    session = Session(Servers(url), ["SET search_path = bazaar"])
    try:
        prepare(session, 1, "name", known)
    finally:
        session.drop()


LAST = len(migrations())
NEXT = Migration(LAST + 1, "next_more.sql", "CREATE TABLE more (n int)")


def test_each_migration_is_applied_once_in_its_order(url: str) -> None:
    prepared(url, migrations())
    prepared(url, [*migrations(), NEXT])
    prepared(url, [*migrations(), NEXT])
    with psycopg.connect(url) as admin:
        found = admin.execute("SELECT number, name FROM bazaar.migrations ORDER BY 1").fetchall()
        assert found == [(each.number, each.file) for each in [*migrations(), NEXT]]
        assert admin.execute("SELECT count(*) FROM bazaar.more").fetchone() == (0,)


def test_a_schema_of_a_newer_release_is_left_as_it_is(url: str) -> None:
    prepared(url, [*migrations(), NEXT])
    with pytest.raises(Unusable, match="newer release"):
        prepared(url, migrations())


def test_a_migration_that_was_changed_is_not_taken_for_the_one_that_was_applied(url: str) -> None:
    prepared(url, migrations())
    first, *others = migrations()
    with pytest.raises(Unusable, match="migration 1"):
        prepared(url, [Migration(1, first.file, first.sql + "--"), *others])


def test_a_migration_that_fails_leaves_nothing(url: str) -> None:
    with pytest.raises(Unusable, match="no_such"):
        prepared(url, [*migrations(), Migration(LAST + 1, "x.sql", "DROP TABLE no_such")])
    prepared(url, migrations())


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [each.number for each in migrations()] == list(range(1, len(migrations()) + 1))
