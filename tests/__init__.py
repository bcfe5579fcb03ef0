"""Tests: `unit` without a network, `simulation`, `damage`, `integration` with real processes.

`fakes` has what they share in place of a part of the bazaar.
"""

from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).parents[1]
"""The checkout."""
