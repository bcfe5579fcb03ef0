"""W3C Trace Context: what is read, and what is not."""

import pytest

from twisted_bazaar.tracing.context import (
    MAX_STATE_CHARACTERS,
    TraceContext,
    read_context,
    read_headers,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_context_is_passed_on_as_it_came() -> None:
    context = read_context(PARENT, "vendor=a1,t@sys=b c")
    assert context == TraceContext(TRACE, SPAN, 1, "vendor=a1,t@sys=b c")
    assert context.is_sampled
    assert read_context(context.parent, context.state) == context


def test_a_trace_that_is_not_recorded_is_passed_on_too() -> None:
    context = read_context(f"00-{TRACE}-{SPAN}-00")
    assert context is not None
    assert not context.is_sampled
    assert context.parent == f"00-{TRACE}-{SPAN}-00"


@pytest.mark.parametrize(
    "parent",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f" {PARENT}",
        f"{PARENT}\n",
        f"01-{TRACE}-{SPAN}-01more",
    ],
)
def test_a_malformed_parent_is_none(parent: str) -> None:
    assert read_context(parent) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    for parent in f"01-{TRACE}-{SPAN}-ff", f"cc-{TRACE}-{SPAN}-ff-more":
        context = read_context(parent)
        assert context is not None
        assert context.parent == PARENT


def test_unknown_flags_are_not_passed_on() -> None:
    context = read_context(f"00-{TRACE}-{SPAN}-ff")
    assert context is not None
    assert context.flags == 3


@pytest.mark.parametrize(
    "state",
    ["novalue", "UPPER=1", "a=1,a=2", "a=,b", "a==1", f"{'a' * 257}=1", f"a={'b' * 257}", "a=é"],
)
def test_a_malformed_state_is_left_out(state: str) -> None:
    assert read_context(PARENT, state) == TraceContext(TRACE, SPAN, 1)


def test_empty_members_of_a_state_are_left_out() -> None:
    context = read_context(PARENT, " a=1 ,, \tb=2")
    assert context is not None
    assert context.state == "a=1,b=2"


def test_a_state_is_cut_by_whole_members() -> None:
    members = [f"k{number}={'v' * 60}" for number in range(32)]
    context = read_context(PARENT, ",".join(members))
    assert context is not None
    assert context.state == ",".join(members[:8])
    assert len(context.state) <= MAX_STATE_CHARACTERS < len(",".join(members[:9]))
    assert read_context(PARENT, ",".join([*members, "more=1"])) == TraceContext(TRACE, SPAN, 1)


def test_headers_given_several_times() -> None:
    parent = PARENT.encode()
    assert read_headers(None, None) is None
    assert read_headers([parent, parent], None) is None
    assert read_headers([b"\xff"], None) is None
    assert read_headers([parent], [b"a=1", b"b=2"]) == TraceContext(TRACE, SPAN, 1, "a=1,b=2")
