"""The reference lists every reason that clients may meet, and no other."""

import re

from tests import ROOT
from twisted_bazaar.http import connections
from twisted_bazaar.http.connections import SECONDS, Phase
from twisted_bazaar.http.refusals import Reason
from twisted_bazaar.http.site import MAX_BODY_BYTES
from twisted_bazaar.http.sources import MAX_CONNECTIONS_OF_ONE
from twisted_bazaar.market import MAX_TRADE_QUANTITY

REFERENCE = (ROOT / "docs" / "reference.md").read_text()
SOURCES = (ROOT / "twisted_bazaar" / "frontend").rglob("*.py")


def test_it_lists_each_reason_with_its_status() -> None:
    table = REFERENCE.partition("| reason | code | means |\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", table, re.M)
    assert len(rows) == len(table.splitlines()) - 1
    assert rows == [(reason.word, str(reason.code)) for reason in Reason]


def test_each_reason_is_given_somewhere() -> None:
    given = set(re.findall(r"Reason\.([A-Z_]+)", "".join(path.read_text() for path in SOURCES)))
    assert given == set(Reason.__members__)


def test_a_reason_is_a_word_of_lower_case() -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", reason.word) for reason in Reason)
    assert len({reason.word for reason in Reason}) == len(Reason)


def test_it_has_the_limits_as_they_are() -> None:
    head, whole = SECONDS[Phase.HEAD], connections.REQUEST_SECONDS
    assert f"A request has {head:g} s from its first byte to the end of its head" in REFERENCE
    assert f"{head:g} s for its head, {whole:g} s in all" in REFERENCE
    assert f"and {whole:g} s to the end of its body" in REFERENCE
    assert f"a client {SECONDS[Phase.SENDING]:g} s to take an answer" in REFERENCE
    assert SECONDS[Phase.SENDING] == SECONDS[Phase.IDLE]
    assert f"less {connections.RESERVED_DESCRIPTORS} (or half of them" in REFERENCE
    assert f"and {connections.MAX_CONNECTIONS} at most" in REFERENCE
    assert f"there may be {MAX_CONNECTIONS_OF_ONE} connections" in REFERENCE
    assert f"the body is over {MAX_BODY_BYTES // 1024} KiB" in REFERENCE
    assert f"from 1 to {MAX_TRADE_QUANTITY}" in REFERENCE
