"""What `python -m twisted_bazaar` does: `export` and `verify` an order log, check `health`, show
the `status` of a bazaar, change the `market`, show and move its `partitions`, change the `members`
of its log, make its `certificates`, change the file of its `clients`, `backup` and `restore` it.

`inspection` reads the log of an order replica, and `engine_inspection` that in an engine, while it
is written or not (`order_table` is what both export); `probe` asks a running service; `operations`
asks a front-end for market operations, `partitions` for those of partitions and `members` for those
of members (`operation_arguments` has their command lines, `signed_operations` sends them); `status`
shows what a front-end knows of its bazaar (`status_arguments`, `status_answers`, `status_tables`);
`certificates` writes the files of an authority (`certificate_arguments`), and `clients` the file of
clients (`client_arguments`); `backups` takes and restores backups (`backup_arguments`). Nothing
imports this package but `__main__`, and `probe` imports little, as a container runs it every few
seconds.
"""
