"""The tables that a log in PostgreSQL needs: made, migrated and checked when an engine is opened.

A migration is a file of SQL, `migrations/NNNN_*.sql`. Each is applied once, in its order, and never
changed: the database keeps a hash of what was applied. Members of the release before may still run
while a migration is applied, so none takes away what they use.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.resources import files

import msgspec

from twisted_bazaar.errors import Unusable

from .connection import Failed, Session
from .servers import Misconfigured
from .shared_log import Bazaar, Unknown
from .statement import Statement

__all__ = ["Migration", "check", "migrations", "prepare"]

_LOCK = 0x62617A616172
"""Of PostgreSQL's advisory locks: held by who migrates."""

_TABLES = Statement("tables", "SELECT to_regclass('bazaar.migrations') IS NOT NULL")
_APPLIED = Statement("applied", "SELECT number, sha256 FROM bazaar.migrations ORDER BY number")
_BAZAAR = Statement("bazaar", "SELECT name, partitions FROM bazaar.bazaar")
_ENCODING = Statement("encoding", "SELECT current_setting('server_encoding')")
_RECORD = Statement(
    "record",
    "INSERT INTO bazaar.migrations (number, name, sha256)"
    " VALUES ({number}::int, {file}::text, {hash}::text)",
)
_CREATE = """
CREATE SCHEMA IF NOT EXISTS bazaar;
CREATE TABLE IF NOT EXISTS bazaar.migrations (
    number int PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,
    at timestamptz NOT NULL DEFAULT now());
"""
_NAME = Statement(
    "name",
    "INSERT INTO bazaar.bazaar (name, partitions) VALUES ({name}::text, {partitions}::int)",
)
_PARTITIONS = Statement(
    "partitions",
    "INSERT INTO bazaar.partitions (part) SELECT generate_series(0, {partitions}::int - 1)",
)


class Migration(msgspec.Struct, frozen=True):
    number: int
    """1, 2, 3 …"""
    file: str
    sql: str

    @property
    def hash(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


def migrations() -> Sequence[Migration]:
    """All that this release knows, by number."""
    found = sorted(
        (each.name, each.read_text("utf-8"))
        for each in files(__package__).joinpath("migrations").iterdir()
        if each.name.endswith(".sql")
    )
    return [Migration(int(name[:4]), name, sql) for name, sql in found]


def prepare(session: Session, partitions: int, name: str, known: Sequence[Migration]) -> Bazaar:
    """Make the tables what `known` says, and return what bazaar they hold: of so many partitions,
    and named `name` if it is made now.

    Raises `Unusable` if a person must do something, and `Unknown`.
    """
    with _understood():
        if not _is_current(session, known):
            _migrate(session, partitions, name, known)
        bazaar = _stored(session)
    if bazaar.partitions != partitions:
        raise Unusable(
            f"partitions: the bazaar in this database was created with {bazaar.partitions},"
            f" which never changes, not with {partitions}"
        )
    return bazaar


def check(session: Session, known: Sequence[Migration]) -> Bazaar:
    """What bazaar the tables hold. Changes nothing, and raises as `prepare` does."""
    with _understood():
        if not _is_current(session, known):
            raise Unusable("the engine: this database has no bazaar, or one of an older release")
        return _stored(session)


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except Misconfigured as error:
        raise Unusable(f"the engine: {error}") from error
    except Failed as failed:
        # What is read only, starts or stops is asked again.
        if failed.sqlstate[:2] in ("25", "40", "53", "55", "57"):
            raise Unknown(str(failed)) from failed
        raise Unusable(f"the engine: {failed}") from failed


def _stored(session: Session) -> Bazaar:
    [[name, partitions]] = session.run_once(_BAZAAR)
    return Bazaar(name=(name or b"").decode(), partitions=int(partitions or 0))


def _is_current(session: Session, known: Sequence[Migration]) -> bool:
    """Whether all of `known` is applied. Raises `Unusable` if something else is."""
    if session.run_once(_TABLES) != [[b"t"]]:
        return False
    applied = [
        (int(number or 0), (hash_ or b"").decode()) for number, hash_ in session.run_once(_APPLIED)
    ]
    if len(applied) > len(known):
        raise Unusable(
            f"the engine: its schema has {len(applied)} migrations, and this release knows"
            f" {len(known)}: it is of a newer release"
        )
    for migration, (number, hash_) in zip(known, applied, strict=False):
        if (migration.number, migration.hash) != (number, hash_):
            raise Unusable(
                f"the engine: migration {number} of its schema is not {migration.file}"
                " as this release has it"
            )
    return len(applied) == len(known)


def _migrate(session: Session, partitions: int, name: str, known: Sequence[Migration]) -> None:
    [[encoding]] = session.run_once(_ENCODING)
    if encoding != b"UTF8":
        raise Unusable("the engine: its database must have the encoding UTF8")
    session.run_script("BEGIN")
    try:
        # Others that start now wait here, and find it done.
        session.run_script(f"SELECT pg_advisory_xact_lock({_LOCK})")
        session.run_script(_CREATE)
        if not _is_current(session, known):
            applied = session.run_once(_APPLIED)
            for migration in known[len(applied) :]:
                session.run_script(migration.sql)
                session.run_once(
                    _RECORD, number=migration.number, file=migration.file, hash=migration.hash
                )
            if not applied:
                session.run_once(_NAME, name=name, partitions=partitions)
                session.run_once(_PARTITIONS, partitions=partitions)
        session.run_script("COMMIT")
    except BaseException:
        # A transaction that is not over is rolled back with its connection.
        session.drop()
        raise
