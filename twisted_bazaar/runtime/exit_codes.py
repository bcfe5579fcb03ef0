"""The exit statuses of the services and of `python -m twisted_bazaar`.

In the latter argparse ends with 2, too, for a wrong argument, and then prints the usage on standard
error. Those of `python -m load` are in `load/exit_codes.py`.
"""

__all__ = ["FAILURE", "IMPAIRED", "SUCCESS"]

SUCCESS = 0
"""A command did what it was asked; a service was asked to stop, and did."""

FAILURE = 1
"""It cannot: one line on standard error says why. `verify` found damage, `health` no answer. So
does `status` if the bazaar it shows cannot take trades."""

IMPAIRED = 2
"""`status`: trades are possible, but something is wrong."""
