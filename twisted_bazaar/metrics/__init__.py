"""What a process counts and measures, and how Prometheus reads it.

Start with `figures`: `Metrics` declares the families of a process; code on a hot path keeps a
`Counter` or `Histogram` of one and adds to it, which costs an addition. It is pure. `exposition`
writes all of them in Prometheus's text format, `resource` answers `GET /metrics`, and `process` has
the figures that all processes share.
"""
