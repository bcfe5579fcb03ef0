"""Clients that measure and try a bazaar from outside: over REST, and by ending its processes."""
