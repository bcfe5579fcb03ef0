"""Tests that cannot hold where the order log is in an engine, each with the reason. All others of
`ON_ENGINES` hold there as they are."""

import pytest

__all__ = ["ONE_PARTITION", "ONLY_WITH_FILES", "reason_to_skip"]

_ONE_MEMBER = "with an engine one order process that is left goes on trading"

ONLY_WITH_FILES = {
    "test_crashes::test_with_two_replicas_down_trades_and_lookups_are_refused"
    "_and_known_orders_shown": _ONE_MEMBER,
}
"""By module, or module::test: why it needs order logs in files."""

ONE_PARTITION: dict[str, str] = {}
"""As well: why it needs one log."""


def reason_to_skip(item: pytest.Item, partitions: int) -> str | None:
    """Why a test cannot hold with an engine that has so many partitions; None: it does."""
    test = f"{item.path.stem}::{getattr(item, 'originalname', item.name)}"
    reasons = {**ONLY_WITH_FILES, **(ONE_PARTITION if partitions > 1 else {})}
    return reasons.get(item.path.stem) or reasons.get(test)
