"""`python -m load bench`: how far a bazaar is from what its own framework can do at best."""
