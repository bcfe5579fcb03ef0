"""Log entries: their one written form, and the digest that names a whole history."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.histories import extend, history
from twisted_bazaar.consensus.entries import (
    GENESIS,
    Event,
    MemberInfo,
    Members,
    Opened,
    decode_entry,
    encode_entry,
)
from twisted_bazaar.errors import Damaged
from twisted_bazaar.frontend.trading.keys import FreshKeys
from twisted_bazaar.market import (
    Adopted,
    Halted,
    Listed,
    Listing,
    Moved,
    Repriced,
    Resumed,
    Side,
    Traded,
)

counts = st.integers(1, 2**53 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=30)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Opened, leader=counts),
    st.builds(
        Members,
        st.lists(st.builds(MemberInfo, counts, texts, st.booleans()), max_size=3).map(tuple),
        st.lists(counts, max_size=3).map(tuple),
    ),
    st.builds(Listed, st.lists(st.builds(Listing, texts, counts, counts), max_size=3).map(tuple)),
    st.builds(
        Traded,
        counts,
        texts,
        texts,
        st.sampled_from(Side),
        counts,
        st.none() | counts,
        st.booleans(),
        st.none() | counts,
    ),
    st.builds(Repriced, texts, counts),
    st.builds(Halted, st.lists(texts, max_size=3).map(tuple)),
    st.builds(Resumed, st.lists(texts, max_size=3).map(tuple)),
    st.builds(Moved, texts, counts),
    st.builds(Adopted, texts, counts, counts, counts, st.booleans(), counts, counts),
)
digests = st.binary(min_size=16, max_size=16).map(bytes.hex)


@given(digests, counts, counts, counts, events)
def test_what_is_read_is_what_was_made(
    previous: str, index: int, term: int, at: int, event: Event
) -> None:
    made = encode_entry(previous, index, term, at, event)
    assert decode_entry(made.record) == made
    assert (made.index, made.term, made.at_milliseconds, made.event) == (index, term, at, event)
    assert made.follows(previous)


@given(digests, events)
def test_a_record_is_one_line_that_begins_with_its_kind_and_ends_with_its_digest(
    previous: str, event: Event
) -> None:
    record = encode_entry(previous, 7, 2, 5, event).record
    kind = type(event).__struct_config__.tag
    assert record.startswith(f'{{"kind":"{kind}","index":7,"term":2,"at":5,'.encode())
    assert re.search(rb',"digest":"[0-9a-f]{32}"}$', record)
    assert len(record.splitlines()) == 1


def test_the_written_form_does_not_change() -> None:
    """Logs outlive versions: if this fails, old logs can no longer be read or compared."""
    opened = encode_entry(GENESIS, 1, 1, 1790000000000, Opened(leader=3))
    order = Traded(1, 'a "key"', "Fish & Co", Side.BUY, 5)
    traded = encode_entry(opened.digest, 2, 1, 1790000000001, order)
    assert opened.record == (
        b'{"kind":"opened","index":1,"term":1,"at":1790000000000,"leader":3,'
        b'"digest":"e26624be19ab8aa114f75b0d19852808"}'
    )
    assert traded.record == (
        b'{"kind":"traded","index":2,"term":1,"at":1790000000001,"number":1,"key":"a \\"key\\"",'
        b'"stock":"Fish & Co","side":"buy","quantity":5,'
        b'"digest":"7cadb1b83cbee2995a2130d543d4b834"}'
    )


def test_the_written_form_of_prices_limits_and_halts_does_not_change() -> None:
    order = Traded(1, "k", "Fish", Side.BUY, 5, 0, made=True, limit=1599)
    events = (order, Repriced("Fish", 0), Halted(("Fish", "Boar")), Resumed(("Fish",)))
    records = [encode_entry(GENESIS, 1, 1, 7, event).record for event in events]
    assert [record[: record.rindex(b',"digest"')] for record in records] == [
        b'{"kind":"traded","index":1,"term":1,"at":7,"number":1,"key":"k","stock":"Fish",'
        b'"side":"buy","quantity":5,"price":0,"made":true,"limit":1599',
        b'{"kind":"repriced","index":1,"term":1,"at":7,"stock":"Fish","price":0',
        b'{"kind":"halted","index":1,"term":1,"at":7,"stocks":["Fish","Boar"]',
        b'{"kind":"resumed","index":1,"term":1,"at":7,"stocks":["Fish"]',
    ]


def test_the_written_form_of_moves_does_not_change() -> None:
    events = (Moved("Fish", 3), Adopted("Fish", 5, 9, 7, True, 1, 12))
    records = [encode_entry(GENESIS, 1, 1, 7, event).record for event in events]
    assert [record[: record.rindex(b',"digest"')] for record in records] == [
        b'{"kind":"moved","index":1,"term":1,"at":7,"stock":"Fish","to":3',
        b'{"kind":"adopted","index":1,"term":1,"at":7,"stock":"Fish","price":5,"quantity":9,'
        b'"volume":7,"halted":true,"before":1,"moved":12',
    ]


def test_the_written_form_of_members_does_not_change() -> None:
    members = (MemberInfo(1, "tcp:a:1"), MemberInfo(2), MemberInfo(4, "tcp:d:4", joining=True))
    records = [
        encode_entry(GENESIS, 1, 1, 7, event).record
        for event in (Members(members), Members(members[:1], (1, 2)))
    ]
    assert [record[: record.rindex(b',"digest"')] for record in records] == [
        b'{"kind":"members","index":1,"term":1,"at":7,"members":[{"id":1,"address":"tcp:a:1"},'
        b'{"id":2},{"id":4,"address":"tcp:d:4","joining":true}]',
        b'{"kind":"members","index":1,"term":1,"at":7,"members":[{"id":1,"address":"tcp:a:1"}],'
        b'"before":[1,2]',
    ]


def test_an_order_of_an_earlier_release_holds_no_price_and_shows_who_made_its_key() -> None:
    record = (
        b'{"kind":"traded","index":2,"term":1,"at":1790000000001,"number":1,"key":"%b",'
        b'"stock":"Fish & Co","side":"buy","quantity":5,'
        b'"digest":"7cadb1b83cbee2995a2130d543d4b834"}'
    )
    fresh = FreshKeys(Random(1))()
    for key, made in (("a key", False), (fresh, True), (f"{fresh}0", False)):
        entry = decode_entry(record % key.encode())
        assert entry.event == Traded(1, key, "Fish & Co", Side.BUY, 5)
        assert isinstance(entry.event, Traded)
        assert entry.event.has_made_key is made
        assert entry.record == record % key.encode()
    chosen = Traded(1, fresh, "Fish & Co", Side.BUY, 5, 1599)
    assert not chosen.has_made_key, "a client chose a key of that form"


def test_an_entry_follows_only_the_history_it_was_made_after() -> None:
    entries = history(3)
    for entry in entries:
        before = [GENESIS, *(each.digest for each in entries)]
        assert [digest for digest in before if entry.follows(digest)] == [before[entry.index - 1]]


def test_equal_histories_and_no_others_have_equal_digests() -> None:
    ours, theirs = history(5), history(5)
    assert [entry.digest for entry in ours] == [entry.digest for entry in theirs]
    other = extend(ours[:3], [ours[3].event], term=2)
    other += extend(other, [ours[4].event])
    assert ours[4].event == other[1].event
    assert ours[4].digest != other[1].digest


@given(st.data())
def test_a_changed_bit_is_noticed(data: st.DataObject) -> None:
    before, entry = history(1)[-2:]
    at = data.draw(st.integers(0, len(entry.record) - 1))
    changed = bytearray(entry.record)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read = decode_entry(bytes(changed))
    except Damaged:
        return
    assert not read.follows(before.digest)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"kind":"traded"}',
        b'{"kind":"sold","index":1,"term":1,"at":1,"digest":"' + GENESIS.encode() + b'"}',
        b'{"kind":"opened","index":1,"term":1,"at":1,"digest":"' + GENESIS.encode() + b'"}',
        b'{"kind":"opened","index":"1","term":1,"at":1,"leader":1,"digest":"00"}',
        b'{"kind":"opened","index":1,"term":1,"at":1,"digest":"00","leader":1}',
    ],
    ids=["empty", "not-utf-8", "a-list", "no-place", "unknown", "no-leader", "text", "order"],
)
def test_what_is_no_record_is_damaged(record: bytes) -> None:
    with pytest.raises(Damaged):
        decode_entry(record)
