"""Fail-over between servers: `Catalogs` (`catalogs`) and `Replicas` (`replicas`) return the first
answer. `cache`, `lookups` and `api` call them; trades and pings go to one replica at a time, and
not through here. Which replicas there are, `members` decides, which is pure, and `live_clients` has
a client of each.
"""
