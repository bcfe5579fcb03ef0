"""Judges a damaged folder: everything acknowledged is there, or the log is suspect."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.fakes.histories import ledger_of
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.market import Traded
from twisted_bazaar.storage.index import Found, Index, witness_in

from .moments import INDEX, Files, Moment, log_in_place

__all__ = ["Lost", "Opened", "check_set_aside", "open_index", "open_log", "put"]


class Lost(AssertionError):
    """Something acknowledged is gone, and the log is not suspect."""


class Opened(NamedTuple):
    verdict: str
    """`whole`, `suspect`, `refused`, or `found later`: by reading, and then by the next start."""
    why: str


def put(folder: Path, files: Files, log_folder: bool) -> None:
    """Write `files` into an empty folder; `log_folder`: with one for the log, even if empty."""
    for name in {name.partition("/")[0] for name in files if "/" in name} | (
        {"log"} if log_folder else set()
    ):
        (folder / name).mkdir()
    for name, text in files.items():
        (folder / name).write_bytes(text)


def open_log(folder: Path, moment: Moment, again: bool = False) -> Opened:
    """Open the log in `folder` as a replica does. Raises `Lost`."""
    index = folder / INDEX
    try:
        witness = witness_in(index) if index.exists() else None
        file = log_in_place(folder, Random(0), witness=witness)
    except Unusable as error:
        return Opened("refused", str(error))
    file.close()
    suspect = file.suspect
    if again:
        second = log_in_place(folder, Random(1))
        second.close()
        if second.suspect != suspect:
            raise Lost(f"it was suspect, {suspect}, and then {second.suspect}")
    if suspect is not None:
        if "\n" in suspect:
            raise Lost(f"more than one line: {suspect}")
        return Opened("suspect", suspect)
    if moment.suspect:
        raise Lost("it was suspect before, and no more")
    if (file.term, file.vote) != (moment.term, moment.vote):
        raise Lost(f"term {file.term} and vote {file.vote}")
    try:
        entries = tuple(file.read(0, file.last_index))
    except Damaged as damage:
        return Opened("found later", _found_next_time(folder, str(damage)))
    if entries != moment.entries:
        raise Lost(f"{len(entries)} entries, where {len(moment.entries)} were acknowledged")
    return Opened("whole", file.recovered or "")


def _found_next_time(folder: Path, damage: str) -> str:
    """Why the log is suspect, once damage was found by reading. Raises `Lost`."""
    again = log_in_place(folder, Random(2))
    again.close()
    if again.suspect is None:
        raise Lost(f"the next start does not find what reading found: {damage}")
    return again.suspect


def check_set_aside(folder: Path, files: Files, opened: Opened) -> None:
    """See that a log that was damaged just now is kept as it is. Raises `Lost`."""
    _, _, place = opened.why.partition("; set aside as ")
    if opened.verdict == "suspect" and place.startswith(f"{folder}/"):
        for name, text in files.items():
            kept = Path(place) / Path(name).name
            if name.startswith("log/") and name.endswith(".jsonl") and kept.read_bytes() != text:
                raise Lost(f"{kept} is not as it was")


def open_index(folder: Path, moment: Moment) -> Opened:
    """Open the log and the index in `folder`, and ask for every key. Raises `Lost`."""
    opened = open_log(folder, moment)
    if opened.verdict != "whole":
        return opened
    file = log_in_place(folder, Random(0))
    orders = [entry for entry in moment.entries if isinstance(entry.event, Traded)]
    keys = [entry.event.key for entry in orders if isinstance(entry.event, Traded)]
    try:
        index = Index(folder / INDEX, file)
        try:
            found = index.find([*keys, "never", "", "key-", "zzz"])
            _check_found(index, found, orders, moment)
        finally:
            index.close()
    except Damaged as error:
        return Opened("rot found", str(error))
    finally:
        file.close()
    return Opened("made anew" if index.rebuilt else "whole", index.rebuilt or "")


def _check_found(index: Index, found: Found, orders: Sequence[Entry], moment: Moment) -> None:
    numbers = {
        entry.event.key: entry.event.number
        for entry in orders
        if isinstance(entry.event, Traded) and entry.index <= found.index
    }
    if found.numbers != numbers:
        raise Lost(f"up to entry {found.index} it finds {found.numbers}, not {numbers}")
    if index.index != found.index:
        raise Lost(f"it reflects {index.index} entries, and {found.index} when asked for keys")
    ledger = ledger_of(moment.entries[: index.index])
    if index.ledger().stocks != ledger.stocks or index.ledger().last_number != ledger.last_number:
        raise Lost("its ledger is another one")
