"""An order process whose log is in an engine: a *member*, which may lead any of the partitions.

Start with `node`: `PartitionNode` is one partition, the shell around two pure parts,
`engine.Tenure`, which decides who leads and what is written, and, while it leads, the trading desk
(`lead`; `moves` is what it knows of stocks that move). `member` is all partitions of the process,
`tails` feeds them what the engine shows of all logs, `call_thread` is how an engine that blocks is
called, `writing` the calls by which a partition is led. `servicer` answers front-ends, each call
for its partition, and `pages` reads orders for it. `assembly` puts a member together.

    front-end ─▶ Orders ─▶ PartitionService ─▶ PartitionNode ─▶ TradingDesk     decide, observe
                                │   Tails ─▶       │    └─────▶ Tenure          saw, done, ready
                                │                  ├─▶ Catalog                  Apply
                                └─▶ EnginePages    └─▶ Writing                  append, beat
"""
