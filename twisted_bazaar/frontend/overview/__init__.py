"""The answer to `GET /status`: the bazaar as this front-end knows it.

`service` has the answer; `catalogs` asks the catalogs for it, and `parts` puts it together, which
is pure. What the answer looks like is in `twisted_bazaar.status`. `api` calls it.
"""
