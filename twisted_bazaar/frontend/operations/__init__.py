"""Market operations, for operators: `POST /market` on the internal endpoint.

`challenges` decides which requests are signed, and takes each once; `requests` decodes them; both
are pure. `OperationService` (`service`) has the leader carry them out, and `resource` answers over
HTTP; `shown` shows the partitions. Start with `resource`. `assembly` uses this package, and
`python -m twisted_bazaar market` uses `challenges`.
"""
