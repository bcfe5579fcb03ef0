"""Which accesses to files may run on the reactor's thread."""

from twisted_bazaar.order.promptness import Promptness

BOUND = 0.005


def after(*seconds: float) -> Promptness:
    """What took so long, one after the other."""
    promptness = Promptness(BOUND)
    for each in seconds:
        promptness.took(each)
    return promptness


def test_nothing_is_taken_for_prompt_before_it_has_shown_itself_so() -> None:
    assert not after().prompt
    assert not after(*[0.001] * 15).prompt
    assert after(*[0.001] * 16).prompt


def test_one_slow_access_ends_it() -> None:
    assert not after(*[0.001] * 100, BOUND).prompt
    assert not after(*[0.001] * 100, BOUND, *[0.001] * 31).prompt
    assert after(*[0.001] * 100, BOUND, *[0.001] * 32).prompt


def test_what_is_slow_now_and_then_keeps_the_reactor_waiting_ever_more_rarely() -> None:
    promptness = Promptness(BOUND)
    waited = []
    for access in range(100_000):
        slow = access % 100 == 99
        if slow and promptness.prompt:
            waited.append(access)
        promptness.took(1.0 if slow else 0.001)
    assert len(waited) < 5


def test_what_was_slow_once_is_forgiven_in_time() -> None:
    promptness = after(*[0.001] * 100, BOUND, *[0.001] * 1000, BOUND, *[0.001] * 16)
    assert not promptness.prompt, "the second slow one counts as the first did"
    assert after(*[0.001] * 100, BOUND, *[0.001] * 1000, BOUND, *[0.001] * 32).prompt


def test_a_disk_that_is_slow_does_not_have_to_prove_more_for_that() -> None:
    """It was on a thread all the time: nothing waited for it."""
    assert after(*[1.0] * 100, *[0.001] * 16).prompt
