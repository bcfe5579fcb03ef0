"""HTTP/1.1 on Twisted, with bounds: sites, connections and refusals, for any resource.

Start with `site`: `BazaarSite` and `BazaarRequest`. `BazaarChannel` (`channel`) reads requests from
a connection, `Connections` (`connections`) decides which connections to close; `listener` is the
port, `streaming` sends large answers. `answers`, `refusals` and `hosts`, which are pure as is
`connections`, are used wherever HTTP is served.
"""
