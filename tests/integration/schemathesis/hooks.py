"""What schemathesis checks in addition. It imports this module by itself."""

from typing import Any

import schemathesis

OF_THE_MARKET = {"unknown_stock", "key_reused"}


@schemathesis.check
def well_formed_requests_are_refused_for_what_no_schema_says(
    ctx: Any, response: Any, case: Any
) -> None:
    """A request that its schema allows is refused with 400 or 422 only if its stock is not listed,
    its key is taken, it has two different keys, or a cursor."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code not in (400, 422):
        return
    error = response.json()["error"]
    two_keys = error["reason"] == "invalid_key" and " differ" in error["message"]
    cursor = error["reason"] == "invalid_parameter" and "cursor" in (case.query or {})
    assert two_keys or cursor or error["reason"] in OF_THE_MARKET, error
