"""Lookups of stocks, from the cache, a catalog or the order leader.

`LookupQueue` (`queue`) and `WholeMarketQueue` (`whole_market`) are pure: they decide what to ask
for together and what may be shown. `LookupService` (`service`) asks. Start with `queue`.
"""
