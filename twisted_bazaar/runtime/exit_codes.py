"""The exit statuses of all services and commands. argparse adds 2, for a wrong argument."""

__all__ = ["FAILURE", "SUCCESS"]

SUCCESS = 0
"""A command did what it was asked; a service was asked to stop, and did."""

FAILURE = 1
"""It cannot: one line on standard error says why. `verify` found damage, `health` no answer."""
