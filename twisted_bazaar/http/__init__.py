"""HTTP/1.1 on Twisted, with bounds: sites, connections and refusals, for any resource.

Start with `site`: `BazaarSite` and `BazaarRequest`. `BazaarChannel` (`channel`) reads requests from
a connection, `Connections` (`connections`) decides which connections to close; `listener` is the
port, `edge` its TLS, `streaming` sends large answers. `connections` and `sources`, which counts
those of each address, are pure, as are `answers`, `refusals` and `hosts`, which are used wherever
HTTP is served.
"""
