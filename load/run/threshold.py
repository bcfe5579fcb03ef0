"""Thresholds for the figures of a run, such as `lookup.p99<20ms`. Pure."""

import re
from collections.abc import Mapping
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from .tally import Measured

__all__ = ["Judged", "Threshold", "parse"]

KINDS = ("lookup", "hit", "miss", "off", "trade", "order", "all")
_OPERATORS = {"<": lt, "<=": le, ">": gt, ">=": ge}
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_RULE = re.compile(r"(\w+)\.([\w.]+)(<=|>=|<|>)(\d+(?:\.\d+)?)([a-z/%]*)")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
EXAMPLE = "lookup.p99<20ms"


class Judged(msgspec.Struct, frozen=True):
    """A threshold, and whether it held."""

    threshold: str
    measured: str
    """The value, with its unit."""
    held: bool


class Threshold(msgspec.Struct, frozen=True):
    """A bound for one figure of one kind of call. Made by `parse`."""

    text: str
    kind: str
    figure: str
    operator: str
    bound: float
    """In seconds, calls a second, calls, or per cent."""
    unit: str

    def judge(self, kinds: Mapping[str, "Measured"], unsent: int = 0) -> Judged:
        """`unsent` requests of an open loop were due and never sent. Their latency is unknown, so
        with any of them no threshold on a time holds."""
        measured = kinds.get(self.kind)
        count, errors = (measured.count, measured.errors) if measured else (0, 0)
        if self.figure == "count":
            return self._compare(count, f"{count}")
        if self.figure == "errors":
            share = 100 * errors / count if count else 0.0
            return self._compare(share, f"{share:.3g}%") if self.unit == "%" else (
                self._compare(errors, f"{errors}"))  # fmt: skip
        if self.figure == "rate":
            rate = measured.rate if measured else 0.0
            return self._compare(rate, f"{rate:.1f}/s")
        if measured is None:
            return Judged(self.text, f"no {self.kind} to measure", False)
        seconds = self._time(measured)
        shown = f"{seconds / _UNITS[self.unit]:.3f}{self.unit}"
        if unsent:
            return Judged(self.text, f"{shown}, but {unsent} were never sent", False)
        return self._compare(seconds, shown)

    def _time(self, measured: "Measured") -> float:
        if self.figure == "mean":
            return measured.latencies.mean
        if self.figure == "max":
            return measured.latencies.max
        return measured.latencies.percentile(float(self.figure.removeprefix("p")))

    def _compare(self, value: float, shown: str) -> Judged:
        return Judged(self.text, shown, bool(_OPERATORS[self.operator](value, self.bound)))


def parse(text: str) -> Threshold:
    """Read `text`. Raises ValueError with what is wrong with it."""
    found = _RULE.fullmatch("".join(text.split()))
    if found is None:
        raise ValueError(f"must be like {EXAMPLE}, not {text!r}")
    kind, figure, operator, bound, unit = found.groups()
    if kind not in KINDS:
        raise ValueError(f"{text!r}: {kind} is none of {', '.join(KINDS)}")
    units = _units(figure)
    if not units:
        figures = "count, errors, rate, mean, max, or a percentile such as p99.9"
        raise ValueError(f"{text!r}: {figure} is none of {figures}")
    if unit not in units:
        wanted = ", ".join(each for each in units if each)
        raise ValueError(f"{text!r}: {figure} is in {wanted or 'no unit'}, not {unit!r}")
    scale = _UNITS.get(unit, 1.0)
    return Threshold(text, kind, figure, operator, float(bound) * scale, unit)


def _units(figure: str) -> tuple[str, ...]:
    """The units that a figure may have; empty: there is no such figure."""
    if figure in ("mean", "max") or _PERCENTILE.fullmatch(figure):
        return tuple(_UNITS)
    return {"count": ("",), "errors": ("", "%"), "rate": ("", "/s")}.get(figure, ())
