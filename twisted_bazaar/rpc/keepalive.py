"""What both ends of a connection are told, so that neither keeps one that went silent.

A connection that is cut without a word stays "up" for as long as TCP goes on sending again, less
and less often: after a cut of 20 s its ends do not hear each other for 7 s more. So an end that
has heard nothing for a second asks the other for a sign of life, and gives the connection up if
there is none within one more. The caller then makes a new one, as soon as anything gets through;
the server is rid of what it kept for a caller that may never come back.
"""

__all__ = ["CALLER", "DIRECT", "MAX_MESSAGE_BYTES", "SERVER"]

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Twice the largest message of ours: a listing of as many stocks as there may be, with the
longest names. gRPC's own bound is 4 MiB."""

_SILENCE_MS = 1000
"""How long an end hears nothing before it asks; heartbeats and pings are heard more often."""
_PATIENCE_MS = 1000
"""How long it waits for an answer, which gRPC gives even while the reactor is busy."""

DIRECT = (
    # The environment may name a proxy, for the way out to the internet.
    ("grpc.enable_http_proxy", 0),
    # Nor do a name's TXT records say how calls are made.
    ("grpc.service_config_disable_resolution", 1),
)
"""Options of any channel: between services, the addresses they were given are all that counts."""

_BOTH = (
    ("grpc.keepalive_time_ms", _SILENCE_MS),
    # Two clocks, as each misses what the other sees. The first is TCP's (TCP_USER_TIMEOUT, on
    # Linux) and stops what the other machine does not confirm, such as a large message that the
    # question waits behind. The second runs once the question is sent; it is a minute by default.
    ("grpc.keepalive_timeout_ms", _PATIENCE_MS),
    ("grpc.http2.ping_timeout_ms", _PATIENCE_MS),
    # A connection that nobody uses just now is watched, too: the next call must not wait for it.
    ("grpc.keepalive_permit_without_calls", 1),
    # Else an end that has nothing else to say asks twice, and then once a minute.
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)

CALLER = (*DIRECT, *_BOTH)
"""Options of a channel. The server that it leads to must have those of `SERVER`."""

SERVER = (
    *_BOTH,
    # Else a server ends the connection of a caller that asks more often than every five minutes.
    ("grpc.http2.max_ping_strikes", 0),
)
"""Options of a server."""
