"""Elections, as a front-end starts them.

`Leadership` (`leadership`) is pure: it decides which replica leads, and which to nominate. `Pings`
(`pings`) asks the replicas how they are, and a `Search` (`search`) for each partition has them
campaign. `Roster` (`roster`) tells both who the members are. Start with `leadership`.
"""
