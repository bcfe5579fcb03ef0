"""The catalog: market data projected from the order log, for lookups, and the invalidations that
keep the caches of front-ends true.

Start with `publisher`: `Publisher` decides when an entry is released, `CatalogNode` (`node`)
carries that out. `projection` and `subscribers` are parts of the former, `market_file` and
`push_client` of the latter; `servicer` is the gRPC service, and `partitions` has the node of each
partition. Other packages reach a catalog through
gRPC only, except that `local` reads a listing with `opening`.
"""
