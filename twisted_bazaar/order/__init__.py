"""An order replica: trades in, orders out, through the replicated log.

Start with `node`: `OrderNode` is the shell around two pure parts, `consensus.Replica`, which
replicates the log, and `desk.TradingDesk`, which decides trades at its tip and holds answers back
until they are final (`sendings` keeps late ones out). `servicer` is the gRPC service, `pages` reads
orders for it (`search` finds them), `neighbours` calls the peers and catalogs, `listing` takes the
first stocks from a catalog. `peers` follows the members as they change. `archiver` moves what is
old to the archive; `snapshots` gives and takes snapshots, after which `anew` begins another life of
the replica, and `earlier` fetches what is before. `assembly` puts a replica together from the
options in `tap`. Other packages reach a replica through gRPC only.

    front-end ─▶ Orders ──────▶ OrderNode ─▶ TradingDesk     decide, observe
    peer ─────▶ Replication ──▶    │  └────▶ Replica         step, answered, applied, ready
                                   ├─▶ Peer, Catalog         Append, Vote, Poll, Fetch; Apply
                                   └─▶ LogFile, Index        on a thread each, unless quick
"""
