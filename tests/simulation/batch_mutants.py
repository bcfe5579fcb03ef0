"""Deliberate faults in batches of trades."""

from typing import Any

from twisted_bazaar.frontend.api import batches

from .mutants import mutant

__all__: list[str] = []


@mutant(batches, "decode_batch")
def trades_of_a_batch_share_a_key(
    original: Any, body: Any, keys: Any, fresh_key: Any, validate: Any
) -> Any:
    shared = fresh_key()
    return original(body, keys, lambda: shared, validate)
