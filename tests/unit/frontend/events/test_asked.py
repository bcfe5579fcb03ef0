"""Which clients are sent compressed events."""

import pytest

from twisted_bazaar.frontend.events.asked import accepts_gzip


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        (None, False),
        ([b"gzip"], True),
        ([b"deflate, gzip;q=0.5, br"], True),
        ([b"identity", b"GZIP"], True),
        ([b"gzip;q=0"], False),
        ([b"gzip; q=0.000, *"], False),
        ([b"*"], True),
        ([b"*;q=0"], False),
        ([b"br"], False),
        ([b"gzip;q=x"], False),
    ],
)
def test_gzip_is_sent_to_clients_that_take_it(headers: list[bytes] | None, accepted: bool) -> None:
    assert accepts_gzip(headers) is accepted
