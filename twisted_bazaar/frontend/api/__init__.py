"""The REST API: what clients may ask for, and what they are answered.

Start with `routes`: `Routes` declares the calls, `Dispatcher` (`dispatch`) finds the route of a
request. `requests` decodes the trades that clients send, and `listing` which orders they ask for;
`entity_tags`, `reports` and `old_system` make parts of answers; `description` says to clients what
each call takes and answers. `assembly` uses this package; `requests`, `listing` and `entity_tags`
are pure.
"""
