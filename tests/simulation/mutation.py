"""Which deliberate faults the simulator catches, by which invariant, and after how many runs.

python -m tests.simulation.mutation [--seeds 300] [NAME ...]
"""

import argparse
import sys
import time
from typing import NamedTuple

from . import (
    batch_mutants,  # noqa: F401
    client_mutants,  # noqa: F401
    condition_mutants,  # noqa: F401
    election_mutants,  # noqa: F401 - they declare themselves
    engine_mutants,  # noqa: F401
    identity_mutants,  # noqa: F401
    lease_mutants,  # noqa: F401
    membership_mutants,  # noqa: F401
    operation_mutants,  # noqa: F401
    proposal_mutants,  # noqa: F401
    quote_mutants,  # noqa: F401
    sending_mutants,  # noqa: F401
    snapshot_mutants,  # noqa: F401
    term_mutants,  # noqa: F401
)
from .engine_faults import draw_engine
from .mutants import MUTANTS, Mutant
from .plan import Plan, directed, draw
from .run import run
from .scenarios import SCENARIOS

__all__ = ["Verdict", "hunt", "main"]


SOONEST: dict[str, tuple[str, ...]] = {
    "who_took_a_snapshot_knows_the_members_and_who_led": (
        "a_snapshot_lacks_the_members",
        "a_snapshot_lacks_who_led",
        "a_log_begins_one_entry_too_late",
    ),
    "a_voter_takes_a_snapshot_between_two_requests_of_one_term": (
        "a_vote_is_forgotten_with_the_log",
        "a_term_is_forgotten_with_the_log",
    ),
    "a_suspect_that_took_a_snapshot_lacks_what_came_after_it": (
        "a_suspect_is_trusted_with_its_snapshot",
    ),
    "three_become_five_and_three_again": (
        "only_the_old_majority_commits_a_change",
        "only_the_new_majority_commits_a_change",
        "who_was_removed_counts",
        "a_suspect_asks_whom_its_options_name",
    ),
    "one_of_two_that_become_three_forgets_all_in_between": (
        "the_voters_change_at_once",
        "a_change_ends_before_it_is_committed",
    ),
    "a_leader_is_lost_while_the_voters_change": ("one_of_two_majorities_elects",),
    "who_is_joining_does_not_count": (
        "who_is_joining_counts",
        "who_is_joining_counts_before_it_has_anything",
    ),
    "there_is_one_change_at_a_time": ("a_change_begins_before_the_last_one_is_done",),
    "a_change_that_is_overwritten_is_none": ("an_overwritten_change_counts",),
    "the_leader_is_removed": (
        "who_was_removed_goes_on",
        "a_leader_that_was_removed_leads_on",
    ),
    "a_trade_whose_time_has_passed_while_its_leader_stood_still_is_not_executed": (
        "time_is_judged_at_the_front_end_only",
    ),
    "a_limit_is_judged_on_the_price_at_which_the_trade_would_be_executed": (
        "limits_are_judged_on_the_committed_ledger",
        "the_limit_of_a_sale_is_taken_for_that_of_a_buy",
    ),
    "a_trade_that_was_validated_is_not_executed": ("a_trade_to_be_validated_leaves_an_order",),
    "a_judgement_without_a_trade_rests_on_what_is_committed": ("a_judgement_is_given_at_once",),
    "another_limit_is_another_trade": ("the_limit_is_no_part_of_a_trade",),
    "an_order_of_an_earlier_release_keeps_its_price": ("an_old_order_has_the_price_of_today",),
    "what_was_halted_is_not_traded_whoever_leads": ("the_next_leader_forgets_what_is_halted",),
    "what_was_halted_is_not_traded_after_all_have_restarted": (
        "what_is_halted_is_lost_over_a_restart",
    ),
    "a_trade_after_a_halt_is_refused_before_the_halt_is_committed": (
        "halts_are_judged_on_the_committed_ledger",
    ),
    "no_price_is_shown_that_was_before_one_that_an_operator_knows_of": (
        "a_new_price_has_no_floor_before_it_is_committed",
        "a_new_price_is_no_new_version",
        "an_operation_is_answered_at_once",
    ),
    "what_only_a_parted_leader_knows_is_not_so": ("what_is_so_at_the_tip_is_said_at_once",),
    "an_operation_that_comes_late_is_not_carried_out": (
        "an_operation_is_taken_however_late_it_is",
    ),
    "a_quote_that_is_older_than_the_floor_is_not_shown": (
        "a_pushed_quote_is_shown_whatever_its_floor",
    ),
    "a_quote_waits_until_every_front_end_knows_its_floor": (
        "a_quote_is_pushed_before_its_release",
    ),
    "trades_flow_while_the_leader_is_parted_from_its_peers": (
        "commit_before_majority",
        "count_a_learner_for_quorum",
        "no_consistency_check_on_append",
        "skip_truncation_on_rejoin",
        "ignore_the_campaign_guard",
        "a_leader_without_a_majority_stays",
        "no_opened_entry",
        "acknowledge_before_commit",
        "a_deposed_leader_answers_as_if_committed",
        "decide_on_the_committed_ledger_only",
    ),
    "an_entry_of_an_earlier_term_is_not_committed_by_counting": (
        "commit_entries_of_earlier_terms_by_counting",
    ),
    "a_voter_restarts_between_two_requests_of_one_term": (
        "vote_twice_in_a_term",
        "a_vote_is_forgotten_over_a_restart",
        "a_term_is_forgotten_over_a_restart",
    ),
    "a_leader_loses_what_its_disk_did_not_hold_yet": ("a_leader_counts_itself_before_its_disk",),
    "trades_flow_while_one_replica_is_down_for_good": ("adopt_entries_before_the_term",),
    "two_candidates_ask_one_voter_at_once": ("win_without_a_majority",),
    "a_wiped_replica_waits_for_the_one_that_knows": ("a_suspect_asks_a_majority_only",),
    "a_replica_recalls_while_an_address_leads_elsewhere": ("a_suspect_acknowledges",),
    "a_folder_is_another_bazaars": ("an_answer_of_another_counts",),
    "an_address_leads_to_another_bazaars_replica": (
        "a_request_for_another_is_taken",
        "another_clusters_replica_is_a_member",
        "one_other_cluster_is_enough_to_stop",
    ),
    "a_catalog_holds_a_longer_lease_than_the_next_leader_grants": (
        "a_new_leader_waits_for_its_own_lease_only",
    ),
    "a_catalog_answers_the_next_leader_and_holds_a_longer_lease": (
        "a_catalog_that_answered_is_waited_for_a_lease_of_this_leader_only",
    ),
    "an_address_leads_to_another_catalog": (
        "a_catalog_that_another_answers_for_is_not_waited_for",
    ),
    "an_older_copy_of_a_folder_is_put_back": (
        "a_copy_of_a_folder_is_trusted",
        "a_suspect_votes",
    ),
    "two_wiped_replicas_stop_and_say_so": ("two_suspects_trust_each_other",),
    "a_catalog_that_stood_still_shows_nothing_old": ("a_lease_is_counted_from_receipt",),
    "a_catalog_restarts_while_the_leader_changes": ("no_waiting_out_after_a_catalog_restarts",),
    "trades_flow_while_a_front_end_does_not_hear_the_catalog": (
        "a_lease_never_ends",
        "a_holder_that_owes_an_answer_is_renewed",
        "a_front_end_without_a_lease_uses_its_cache",
    ),
    "trades_flow_while_the_catalog_does_not_hear_the_leader": (
        "a_catalog_without_a_lease_answers",
        "a_lease_for_a_catalog_that_is_behind",
    ),
    "a_catalog_that_is_cut_off_shows_nothing_old": (
        "a_catalog_that_owes_an_answer_is_renewed",
        "a_cache_lease_outlives_the_catalogs_own",
    ),
    "a_catalog_that_is_ahead_of_restored_logs_is_not_heard": (
        "a_catalog_takes_the_name_of_a_log_that_it_is_ahead_of",
        "a_history_keeps_its_name_when_it_is_cut",
    ),
    "a_front_end_that_stands_still_again_and_again_costs_little": ("nobody_is_kept_out",),
    "one_that_holds_others_up_again_and_again_shows_nothing_old": (
        "a_front_end_that_is_kept_out_is_not_waited_for",
        "a_catalog_that_is_kept_out_is_not_waited_for",
    ),
    "a_redis_holds_what_no_catalog_has_shown": ("what_no_push_vouched_for_is_shown",),
    "a_slow_lookup_is_overtaken_by_a_trade_of_its_stock": (
        "single_flight_without_the_floor_check",
        "what_is_proposed_counts_as_committed",
    ),
    "clocks_may_drift_as_far_as_clocks_do": ("clocks_do_not_drift",),
    "a_follower_loses_what_its_disk_did_not_hold_yet": (
        "acknowledge_before_fsync",
        "what_is_being_written_is_acknowledged",
    ),
    "the_highest_is_suspect_and_reaches_not_all": ("a_suspect_makes_all_wait",),
    "the_highest_restarts_again_and_again": ("one_that_has_just_started_makes_all_wait",),
    "the_highest_answers_pings_and_no_nomination": (
        "one_that_fails_is_asked_before_those_that_had_no_turn",
    ),
    "what_a_candidate_has_won_it_need_not_win_again": ("the_term_is_raised_at_each_nomination",),
    "a_leader_is_elected_on_disks_that_take_160_ms": (
        "a_candidate_is_not_patient_with_disks",
        "a_follower_is_not_heard_while_it_writes",
    ),
    "split_votes_are_not_kept": ("a_candidate_keeps_a_term_whose_votes_are_split",),
    "the_disk_of_the_highest_hangs": ("one_whose_disk_hangs_stands",),
    "who_is_named_as_the_leader_deposes_nobody": ("a_front_ends_word_raises_the_term",),
    "a_leader_that_leads_again_does_not_count_its_old_rounds": (
        "old_rounds_are_echoed",
        "no_term_check_on_append",
    ),
    "a_key_whose_order_never_was_is_free": (
        "a_deposed_leader_remembers_the_keys_that_it_proposed",
    ),
    "a_key_has_its_order_whoever_leads": ("forget_the_keys_on_failover",),
    "a_look_up_that_took_long_proves_nothing": ("trust_a_look_up_that_is_too_old",),
    "a_rejection_rests_on_what_is_committed": ("reject_at_once_on_an_uncommitted_tip",),
    "what_was_proposed_may_have_been_executed": ("a_deposed_leader_says_not_executed",),
    "an_order_that_is_not_there_is_not_there_for_certain": (
        "no_quorum_round_for_a_404_or_a_rejection",
        "no_write_proves_a_rejection",
    ),
    "a_vote_of_an_earlier_term_is_none_of_this_one": ("count_votes_of_earlier_terms",),
    "a_standby_follows_and_answers_nothing": ("two_catalogs_hold_leases",),
    "what_a_front_end_has_missed_it_does_not_show": ("floors_are_lost_on_resubscription",),
    "a_catalog_that_has_just_started_shows_nothing_of_its_file": (
        "a_lease_of_an_earlier_life_is_good",
    ),
    "a_leader_and_the_catalogs_part": (
        "a_new_leader_waits_for_no_catalog",
        "what_is_cleared_counts_as_committed",
    ),
    "what_was_truncated_before_it_was_written_is_not_acknowledged": (
        "an_acknowledgement_of_truncated_entries_is_kept",
    ),
    "what_was_truncated_while_it_was_written_is_not_indexed": (
        "truncated_entries_count_as_durable",
    ),
    "what_a_deposed_leader_has_more_is_not_committed": ("a_follower_commits_what_it_was_not_sent",),
    "a_replica_that_recalled_votes_for_nobody_in_that_term": (
        "a_replica_that_recalled_votes_again_in_that_term",
    ),
    "the_first_leader_has_heard_of_every_replica": ("the_first_leader_needs_a_majority_only",),
    "no_replica_shows_an_order_that_a_cache_may_not_know_of": (
        "a_replica_reads_orders_before_they_are_released",
        "a_leader_does_not_wait_for_catalogs",
    ),
    "without_a_leader_no_order_is_shown_before_all_leases_have_run_out": (
        "a_follower_without_a_leader_releases_at_once",
    ),
    "the_leader_shows_no_more_than_a_front_end_with_a_cache": (
        "vote_for_a_log_that_lacks_entries",
    ),
    "the_leader_shows_nothing_that_a_cache_may_not_know_of": (
        "the_leader_shows_what_is_not_released",
    ),
    "a_catalog_has_a_slow_clock_and_its_leader_a_fast_one": (
        "a_holder_allows_for_its_own_drift_only",
        "a_holder_allows_for_its_grantors_drift_only",
    ),
    "a_catalog_that_has_to_rebuild_waits_for_what_it_promised": (
        "no_waiting_out_after_a_catalog_rebuilds",
    ),
    "a_redis_goes_back_in_time": ("floors_are_not_checked",),
    "a_late_push_changes_nothing": (
        "a_late_push_lowers_a_floor",
        "reads_ahead_of_release",
        "front_ends_are_not_waited_for",
        "a_front_end_that_does_not_answer_is_forgotten",
    ),
    "a_leader_that_stood_still_grants_no_lease_before_it_looks_at_the_time": (
        "a_leader_that_may_have_been_replaced_grants_leases",
    ),
    "what_a_lost_push_said_is_said_again": ("what_a_lost_push_said_is_not_said_again",),
    "trades_flow_while_the_catalog_is_down_for_good": ("a_catalog_answers_for_what_it_applied",),
    "a_trade_for_one_leadership_is_not_executed_in_another": (
        "the_term_of_a_trade_is_not_checked",
        "sendings_are_not_guarded_at_all",
        "time_runs_backwards_with_the_leaders_clock",
    ),
    "a_sending_that_was_given_up_is_not_executed": (
        "sendings_that_were_given_up_are_taken",
        "a_front_end_is_forgotten_too_soon",
    ),
    "a_trade_of_an_earlier_call_is_not_executed_after_its_time": (
        "a_trade_is_taken_after_its_time",
    ),
    "a_copy_of_a_sending_that_was_answered_is_not_executed": ("a_copy_of_a_sending_is_taken",),
    "a_copy_does_not_say_that_the_first_was_not_executed": (
        "a_copy_is_said_to_be_certainly_not_executed",
    ),
    "nor_does_it_if_the_leader_was_deposed_meanwhile": (
        "what_came_is_forgotten_when_a_leadership_ends",
    ),
    "one_that_does_not_lead_says_nothing_of_earlier_sendings": (
        "one_that_does_not_lead_ends_all_doubt",
    ),
    "a_leader_that_is_overloaded_says_nothing_of_earlier_sendings": (
        "overloaded_after_a_sending_in_doubt_says_not_executed",
        "what_was_lost_was_not_executed",
    ),
    "what_was_answered_is_shown_before_the_catalog_hears_of_its_commit": (
        "lookups_of_what_is_cleared_are_not_held",
    ),
    "a_catalog_hears_of_a_commit_at_once": ("a_commit_is_told_with_the_next_entries",),
    "what_was_cleared_and_truncated_is_waited_for_no_longer": (
        "what_was_truncated_is_held_for_ever",
    ),
    "what_a_leader_answered_before_it_died_is_shown": (
        "lookups_are_held_until_it_is_applied",
        "the_next_leader_ends_all_holds",
    ),
    "trades_of_a_batch_are_each_an_order_though_their_leader_dies": (
        "trades_of_a_batch_share_a_key",
    ),
    "a_key_is_each_clients_own_also_after_a_fail_over": ("clients_share_their_keys",),
    "a_claim_compares_the_beat": ("a_claim_ignores_the_beat",),
    "a_late_copy_of_a_beat_changes_nothing": ("a_late_beat_counts",),
    "a_leader_counts_on_a_write_from_when_it_sent_it": (
        "a_tenure_is_counted_from_the_acknowledgement",
    ),
    "a_leader_counts_on_a_write_from_when_it_sent_it_first": (
        "a_tenure_is_counted_from_the_last_sending",
    ),
    "a_leader_that_has_left_relies_on_nothing": (
        "a_leader_relies_on_its_tenure_after_it_has_left",
    ),
    "a_leader_that_the_engine_does_not_answer_grants_no_lease": (
        "a_leader_that_may_have_been_replaced_counts_on_it",
        "a_leader_is_replaced_at_once",
        "a_new_beat_is_not_noticed",
        "a_new_leader_inherits_no_lease",
        "a_desk_does_not_look_into_the_engine",
    ),
    "a_catalog_is_known_to_an_earlier_leader_only": (
        "catalogs_that_only_an_earlier_leader_knew_are_not_waited_for",
        "catalogs_of_earlier_leaders_are_not_waited_for",
    ),
    "what_was_cleared_of_another_log_is_not_cleared": (
        "what_was_cleared_of_another_log_counts",
        "what_an_earlier_leader_proposed_is_kept",
    ),
}
"""By scenario: the mutants that it caught in a long hunt. It is tried first, to save time."""
SOONEST_DRAWN: dict[str, int] = {
    "the_digest_of_the_place_before_is_not_checked": 17,
    "a_claim_of_unknown_fate_leads": 2,
    "a_stock_is_taken_before_its_leaving_is_released": 17,
    "a_look_up_from_before_a_stock_came_is_good_enough": 10,
    "a_stock_that_left_has_no_floor": 70,
    "keys_are_looked_for_here_only": 1,
    "a_move_is_ended_twice": 10,
    "a_stock_that_moves_stays": 0,
    "a_number_is_given_again_after_unknown": 33,
    "a_warning_that_a_write_is_not_replicated_is_taken_for_success": 0,
    "what_is_unknown_was_not_executed": 42,
    "a_write_that_is_under_way_is_committed": 97,
    "a_snapshot_lacks_keys": 57,
    "a_front_end_is_not_waited_for_before_its_lease_came": 16,
    "a_snapshot_holds_what_is_not_released": 31,
    "what_is_not_released_leaves_the_log": 26,
    "a_replica_drops_a_log_that_has_the_entry": 10,
}
"""By mutant: the seed of a schedule that caught it. If the code has changed, another
one may by now."""


class Verdict(NamedTuple):
    """How the hunt for one mutant ended."""

    seeds: int
    """How many schedules it took, or how many were tried in vain."""
    invariant: int | None
    """The invariant that caught it; None: nothing did."""
    what: str


def hunt(mutant: Mutant, seeds: int, base: int = 0, hint: bool = False) -> Verdict:
    """Run schedules until one catches `mutant`; with `hint`, the most promising first."""
    # With even seeds each front-end has a Redis of its own, with odd ones they share one.
    plans = [
        plan
        for seed in (base, base + 1)
        for name in SCENARIOS
        if bool((plan := directed(name, seed)).partitions) == bool(mutant.partitions)
    ]
    if mutant.partitions:
        plans += [draw_engine(seed, mutant.partitions) for seed in range(base, base + seeds)]
    else:
        plans += [draw(seed) for seed in range(base, base + seeds)]
    if hint:
        plans = _promising(mutant.name) + plans
    with mutant.in_force():
        for count, plan in enumerate(plans, 1):
            violation = run(plan).violation
            if violation is not None:
                what = f"{plan.scenario or plan.seed}: {violation}"
                return Verdict(count, violation.invariant, what)
    return Verdict(len(plans), None, "not caught")


def _promising(name: str) -> list[Plan]:
    if name in SOONEST_DRAWN:
        seed, partitions = SOONEST_DRAWN[name], MUTANTS[name].partitions
        return [draw_engine(seed, partitions) if partitions else draw(seed)]
    for soonest, names in SOONEST.items():
        if name in names:
            plans = [directed(soonest, seed) for seed in range(4)]
            return [plan._replace(partitions=MUTANTS[name].partitions) for plan in plans]
    return []


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutation")
    parser.add_argument("--seeds", type=int, default=300, help="schedules to try for each")
    parser.add_argument("--base", type=int, default=0, help="the first seed")
    parser.add_argument("names", nargs="*", help="only these mutants")
    asked = parser.parse_args()
    missed = 0
    for mutant in MUTANTS.values():
        if asked.names and mutant.name not in asked.names:
            continue
        began = time.process_time()
        verdict = hunt(mutant, asked.seeds, asked.base, hint=True)
        seconds = time.process_time() - began
        # Invariant 0 is a process that broke: a mutant that no longer fits the code.
        missed += not verdict.invariant
        print(
            f"{mutant.name:52} {verdict.seeds:5} {seconds:6.1f} s  {verdict.what[:120]}", flush=True
        )
    print(f"{missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
