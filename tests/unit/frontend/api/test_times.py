"""Times of RFC 3339 are read exactly; what is none is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.frontend.api.times import milliseconds_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

zones = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))


@given(st.datetimes(timezones=zones))
def test_a_time_is_read_as_the_standard_library_writes_it(time: datetime) -> None:
    try:
        since = time - EPOCH
    except OverflowError:
        return
    text = time.isoformat()
    assert milliseconds_of(text, round_up=False) == since // timedelta(milliseconds=1)
    assert milliseconds_of(text, round_up=True) == -(-since // timedelta(milliseconds=1))


@pytest.mark.parametrize(
    ("text", "down", "up"),
    [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("1970-01-01t00:00:00z", 0, 0),
        ("1970-01-01 00:00:00.0010000Z", 1, 1),
        ("1970-01-01T00:00:00.0010000001Z", 1, 2),
        ("1969-12-31T23:59:59.9999Z", -1, 0),
        ("1970-01-01T01:00:00+01:00", 0, 0),
        ("1969-12-31T23:30:00-00:30", 0, 0),
        ("1970-01-01T00:00:00-00:00", 0, 0),
        ("0001-01-01T00:00:00+23:59", -62135683140000, -62135683140000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000, 1_483_228_800_000),
        ("2017-01-01T00:59:60+01:00", 1_483_228_800_000, 1_483_228_800_000),
    ],
)
def test_fractions_zones_and_leap_seconds_count(text: str, down: int, up: int) -> None:
    assert milliseconds_of(text, round_up=False) == down
    assert milliseconds_of(text, round_up=True) == up


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "0", "1700000000", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13Z",
        "2023-11-14T22:13:20 01:00", "2023-11-14T22:13:20+0100", "2023-11-14T22:13:20+01",
        "2023-11-14T24:00:00Z", "2023-11-14T22:60:00Z", "2023-11-14T22:13:61Z",
        "2023-11-14T22:13:60Z", "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z", "2023-11-14T22:13:20+24:00", "2023-11-14T22:13:20+01:60",
        "2023-11-14T22:13:20.Z", "2023-11-14T22:13:20,5Z", " 2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20Z\n", "٢٠٢٣-11-14T22:13:20Z", "20231114T221320Z",
        "2023-11-14T22:13:20." + "1" * 33 + "Z", "-2023-11-14T22:13:20Z",
    ],
)  # fmt: skip
def test_what_is_no_time_of_rfc_3339_is_none(text: str) -> None:
    assert milliseconds_of(text, round_up=False) is None
