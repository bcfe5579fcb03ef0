"""Follows a request through the processes: ids, trace contexts, and spans of them.

Start with `followed`: what is known of a trade that is followed, and how long it is remembered.
`context` reads and writes the headers of W3C Trace Context, and `spans` is all that the rest of the
bazaar sees of a tracer. These three are pure. `export` makes a tracer if the options ask for one;
only `otlp` imports OpenTelemetry.
"""
