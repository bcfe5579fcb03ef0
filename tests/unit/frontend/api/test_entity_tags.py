"""Entity tags are of one history, and conditions are read as RFC 9110 has them."""

import pytest

from twisted_bazaar.frontend.api.entity_tags import entity_tag, matches

TAG = entity_tag("5f0c", 12)


def test_a_tag_names_history_and_version() -> None:
    assert entity_tag("5f0c", 12) == TAG
    others = {
        entity_tag("5f0c", 13),
        entity_tag("5f0d", 12),
        entity_tag("", 12),
        entity_tag("5", 1),
    }
    assert TAG not in others
    assert len(others) == 4
    assert TAG.endswith(b'-12"')


@pytest.mark.parametrize("history", ["5f" * 16, 'a "b"', ",", "*", "\n", "ü", "\ud800", "x" * 999])
def test_the_tags_of_any_history_are_well_formed(history: str) -> None:
    tag = entity_tag(history, 7)
    assert tag.isascii()
    assert tag[:1] == tag[-1:] == b'"'
    assert len(tag) < 32
    assert not set(b'\r\n ,*"') & set(tag[1:-1])
    assert matches([tag], tag)


def test_without_a_history_there_is_none() -> None:
    assert entity_tag("", 12) == b""
    assert not matches([b'""'], b"")
    assert not matches([b""], b"")
    assert matches([b"*"], b""), "there is something"


@pytest.mark.parametrize(
    "headers",
    [
        [TAG],
        [b"W/" + TAG],
        [b"*"],
        [b" * "],
        [b'"11", ' + TAG],
        [b'"11",W/' + TAG + b" "],
        [b'"11"', TAG],
        [b'"a,b"\t,' + TAG],
        [b",, " + TAG + b" ,"],
        [b'"", W/"",' + TAG],
        [b'"\xc3\xbc",' + TAG],
    ],
)
def test_if_none_match_matches_its_tags(headers: list[bytes]) -> None:
    assert matches(headers, TAG)


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [b""],
        [b'"12"'],
        [TAG.strip(b'"')],
        [b'"x' + TAG[1:]],
        [b'"a,*,b"'],
        [b'"*"'],
        [b"w/" + TAG],
        [TAG + TAG],
        [TAG + b", *"],
        [TAG + b', "open'],
        [b'"a"b", ' + TAG],
        [b"," * 5000],
    ],
)
def test_if_none_match_names_no_other_and_nothing_if_it_is_malformed(
    headers: list[bytes] | None,
) -> None:
    assert not matches(headers, TAG)
