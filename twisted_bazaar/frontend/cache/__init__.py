"""The cache of quotes: where they are kept, and whether they may be shown.

Start with `floors`: `Floors` decides whether a quote may be shown; `Subscriber` (`subscription`)
keeps the front-end subscribed at a catalog, whose pushes `invalidation` receives. The caches
themselves (`store` has their protocol) are `memory` and `redis`, the latter with `redis_values` and
`breaker`. `lookups` and `assembly` use this package; `floors`, `quotes`, `redis_values` and
`breaker` are pure.
"""
