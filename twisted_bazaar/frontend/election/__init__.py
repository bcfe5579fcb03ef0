"""Elections, as a front-end starts them.

`Leadership` (`leadership`) is pure: it decides which replica leads, and which to nominate. `Pings`
(`pings`) calls the replicas. Start with `leadership`.
"""
