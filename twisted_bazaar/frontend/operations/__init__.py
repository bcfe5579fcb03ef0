"""Operations of operators, on the market and on the members of the log: `POST /market` on the
internal endpoint.

`challenges` decides which requests are signed, and takes each once; `requests` decodes them; both
are pure. `OperationService` (`service`) has the leader carry them out, and `resource` answers over
HTTP; `shown` shows the partitions, and `members` the members. Start with `resource`. `assembly`
uses this package, and `tools` uses `challenges`.
"""
