"""The requests that a bench sends."""

from load.bench.generator import trade


def test_a_trade_is_what_the_api_takes() -> None:
    assert trade("GameStart", "sell") == '{"name":"GameStart","quantity":1,"type":"sell"}'
