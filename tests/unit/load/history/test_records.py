"""The file of a history: records are read as they were written."""

from pathlib import Path
from random import Random

import pytest

from load.history.records import Fault, History, LookupCall, Unreadable, read
from tests.fakes.recorded import Model


def test_a_history_reads_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    records = Model(Random(1), keys=True).records(200)
    records.insert(5, Fault(what="kill", names=("order-1",), began=1.5, ended=2.5))
    history = History(path)
    for record in records:
        history.add(record)
    history.close()
    assert list(read(path)) == history.records == records


def test_a_second_section_can_be_added(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    records = Model(Random(1), keys=False).records(3)
    for append in (False, True):
        history = History(path, append=append)
        for record in records:
            history.add(record)
        history.close()
    assert list(read(path)) == records * 2


def test_a_history_without_a_file_is_kept_in_memory() -> None:
    history = History()
    records = Model(Random(1), keys=False).records(3)
    for record in records:
        history.add(record)
    history.close()
    assert history.records == records


def test_a_history_from_before_there_were_caches_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(
        b'{"kind":"lookup","client":1,"sent":1.0,"ended":2.0,"status":200,"name":"Fish",'
        b'"found":{"name":"Fish","price":1.0,"quantity":3,"volume":0,"version":2}}\n'
    )
    (call,) = read(path)
    assert isinstance(call, LookupCall)
    assert (call.found and call.found.version, call.source) == (2, "")


def test_an_unreadable_line_is_reported_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"kind":"opening","at":1.0,"listed":{}}\n{"kind":"trade","cl')
    with pytest.raises(Unreadable, match=r"history.jsonl: line 2 is no record: "):
        list(read(path))
