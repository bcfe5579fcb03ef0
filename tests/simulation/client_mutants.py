"""Deliberate faults in the keys of clients."""

from typing import Any

from twisted_bazaar.frontend.access import orders

from .mutants import mutant

__all__: list[str] = []


@mutant(orders, "owned")
def clients_share_their_keys(original: Any, trade: Any, caller: Any) -> Any:
    return trade
