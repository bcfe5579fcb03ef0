"""Tests that cannot hold where the order log is in an engine, each with the reason. docs/engines.md
says which suites run there."""

import pytest

__all__ = ["ONE_PARTITION", "ONLY_IN_PLAIN_TEXT", "ONLY_WITH_FILES", "reason_to_skip"]

ONLY_WITH_FILES = {
    "test_with_two_replicas_down_trades_and_lookups_are_refused_and_known_orders_shown": (
        "with an engine one order process that is left goes on trading"
    ),
    "test_a_client_that_retries_by_itself_makes_one_order": (
        "members that stand still keep no trade from being committed, and a trade that an engine "
        "was not asked to write before it stood still is never executed"
    ),
    **dict.fromkeys(
        (
            "test_archive",
            "test_disk_faults",
            "test_foreign_clusters",
            "test_members",
            "test_old_logs",
            "test_restored_logs",
            "test_rolling_upgrade",
            "test_slow_elections",
        ),
        "order processes have no logs in files, nor disks that these wait for",
    ),
}
"""By test, or module: why it needs order logs in files."""

ONLY_IN_PLAIN_TEXT = {
    "test_push_faults": "a proxy reads, delays and repeats pushes",
}
"""By module: why its services cannot speak TLS."""

_NUMBERS = "numbers of several partitions are not 1, 2, 3, and a list goes on by its cursor"
_FIELDS = "orders and replicas show their partitions"

ONE_PARTITION = {
    "test_a_key_used_for_another_trade_is_422": "a key has one order in each partition",
    "test_a_wrong_operation_is_one_line": (
        "an operation on stocks of several partitions is a change of each: one may be refused, "
        "and the others done"
    ),
    "test_an_order_reads_back_as_it_was_placed_with_its_time_in_rfc_3339": _FIELDS,
    "test_three_replicas_one_of_them_the_leader_come_to_the_same_digest": _FIELDS,
    "test_late_trades": "it asks the leader of partition 0 for a stock that is in another",
    "test_each_example_is_what_a_bazaar_answers": "the examples are those of one partition",
    **dict.fromkeys(
        (
            "test_a_batch_has_an_outcome_for_each_of_its_trades",
            "test_a_hundred_of_three_hundred_get_a_share_and_the_numbers_1_to_100",
            "test_a_hundred_trades_are_judged_each_by_itself_and_numbered_together",
            "test_a_last_page_that_is_full_has_no_next",
            "test_a_refused_trade_leaves_no_trace_and_its_key_free",
            "test_a_replay_has_the_same_body_says_so_and_trades_nothing",
            "test_a_stream_shows_each_order_once_though_the_front_end_is_killed",
            "test_a_trade_answers_the_next_number_and_the_next_lookup_shows_it",
            "test_buyers_that_send_their_key_twice_at_once_get_one_answer_and_one_share",
            "test_deferreds_trade_and_are_told_while_the_leader_is_killed",
            "test_orders_come_in_both_directions_across_pages",
            "test_walking_the_pages_shows_each_order_once_and_ends_with_null",
            "test_order_list",
        ),
        _NUMBERS,
    ),
}
"""As well: why it needs one log."""


def reason_to_skip(item: pytest.Item, partitions: int) -> str | None:
    """Why a test cannot hold with an engine that has so many partitions; None: it does."""
    reasons = {**ONLY_WITH_FILES, **(ONE_PARTITION if partitions > 1 else {})}
    test = getattr(item, "originalname", item.name)
    return reasons.get(item.path.stem) or reasons.get(test)
