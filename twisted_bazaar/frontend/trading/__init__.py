"""Trades on their way to the order leader.

`TradeQueue` (`queue`) is pure: it decides what to send, and when a trade is settled. `TradeService`
(`service`) sends. `keys` makes idempotency keys. Start with `queue`.
"""
