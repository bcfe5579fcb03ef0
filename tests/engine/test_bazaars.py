"""A database that holds another bazaar than before is not used: it was made anew, say."""

import pytest

from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.engine.shared_log import Unknown

from .server import PostgresServer


def test_a_database_that_was_made_anew_is_not_taken_for_the_one_before(
    server: PostgresServer,
) -> None:
    url = server.database("made-anew")
    engine = PostgresEngine.open(url, partitions=2, name="first")
    log = engine.log(0)
    assert log.tail().index == 0
    server.execute('DROP DATABASE "made-anew" WITH (FORCE)')
    server.database("made-anew")
    for _ in range(2):
        with pytest.raises(Unknown):
            log.tail()
    other = PostgresEngine.open(url, partitions=2, name="other")
    with pytest.raises(Unknown, match="another bazaar than before"):
        log.tail()
    with pytest.raises(Unknown):
        engine.tails()
    with pytest.raises(Unknown, match="another bazaar than before"):
        engine.tails()
    engine.close()
    other.close()
