"""Trades on their way to the order leader.

`TradeQueue` (`queue`) decides what to send, and when a trade is settled; `Lanes` (`lanes`) whose
turn it is among those that wait; `Gathering` (`gathering`) when a batch leaves. All are pure.
`TradeService` (`service`) sends. `keys` makes idempotency keys. Start with `queue`.
"""
