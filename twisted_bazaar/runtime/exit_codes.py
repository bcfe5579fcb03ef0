"""The exit statuses of the services and of `python -m twisted_bazaar`.

In the latter argparse adds 2, for a wrong argument. Those of `python -m load` are in
`load/exit_codes.py`.
"""

__all__ = ["FAILURE", "SUCCESS"]

SUCCESS = 0
"""A command did what it was asked; a service was asked to stop, and did."""

FAILURE = 1
"""It cannot: one line on standard error says why. `verify` found damage, `health` no answer."""
