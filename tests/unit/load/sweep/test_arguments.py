"""The command line of `python -m load sweep`."""

import argparse

import pytest

from load.__main__ import main
from load.arguments import bazaar_url
from load.sweep.arguments import add_sweep


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_sweep(parser.add_subparsers())
    return parser.parse_args(["sweep", *arguments])


def test_shares_and_caches_are_lists() -> None:
    asked = parsed("--p=0,0.2,1", "--caches=redis://127.0.0.1:6379,off,memory")
    assert asked.p == (0.0, 0.2, 1.0)
    assert asked.caches == ("redis://127.0.0.1:6379", "off", "memory")
    assert parsed().p == (0.0, 0.2, 0.4, 0.6, 0.8)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--p=0,1.5"], "argument --p: must be a number from 0 to 1, not '1.5'"),
        (["--p=0,"], "argument --p: must be a number from 0, not ''"),
        (["--p=0.5,0.50"], "argument --p: must not name one twice, as '0.5,0.50' does"),
        (["--caches=off,off"], "argument --caches: must not name one twice, as 'off,off' does"),
        (["--caches="], "argument --caches: must be like auto,off, not ''"),
        (["--url=ftp://x"], "argument --url: must be like http://127.0.0.1:8081, not 'ftp://x"),
        (["--url=http://127.0.0.1:1", "--caches=off"],
         "--caches is for bazaars that are started here, not with --url"),
        (["--clients=0"], "argument --clients: must be a whole number from 1, not '0'"),
        (["--duration=1", "--iterations=1"], "argument --iterations: not allowed with argument"),
        (["--rate=5"], "unrecognized arguments: --rate=5"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_wrong_option_of_a_sweep_is_one_line_and_status_3(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["sweep", *arguments])
    said = capsys.readouterr()
    assert (left.value.code, said.out) == (3, "")
    assert said.err.startswith(f"load: {says}")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("https://shop.example/", "https://shop.example"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_a_bazaar_is_reached_by_http_or_https(given: str, read: str) -> None:
    assert bazaar_url(given) == read
