"""How a form of the client describes its methods, which take the steps of those of `core.Core`."""

from collections.abc import Callable
from functools import wraps
from inspect import Signature, signature
from typing import Any, TypeVar

__all__ = ["described_by"]

F = TypeVar("F", bound=Callable[..., Any])


def described_by(steps: Callable[..., Any]) -> Callable[[F], F]:
    """Give a method the name, docstring and parameters of `steps`. What it returns is its own."""

    def describe(method: F) -> F:
        described = wraps(steps)(method)
        shown = signature(steps).replace(return_annotation=Signature.empty)
        described.__signature__ = shown  # type: ignore[attr-defined]
        return described  # type: ignore[return-value]

    return describe
