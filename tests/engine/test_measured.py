"""The script that measures what a log in PostgreSQL costs."""

import os

import pytest

from load.bench import engine_log

from .server import PostgresServer


def test_batches_of_each_size_are_measured(
    server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.database("measured")
    options = ["--batches=1,8", "--partitions=2", "--seconds=0.05", "--orders=80", "--find"]
    engine_log.main([url, *options, f"--server={os.getpid()}"])
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].split()[0] for line in said[:10]] == [
        f"{n}" for n in range(8, 81, 8)
    ]
    assert said[10].startswith("2 partitions, batches of    1, find:")
    assert said[11].startswith("2 partitions, batches of    8, find:")
