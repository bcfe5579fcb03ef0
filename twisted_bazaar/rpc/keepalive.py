"""gRPC options by which both ends of a connection give it up soon after the network is cut.

Without them a connection stays up while TCP retransmits, less and less often: after a cut of 20 s
its ends do not hear each other for 7 s more. So an end that has heard nothing for a second sends
an HTTP/2 ping, and closes the connection if no answer comes within another second. The caller
then makes a new one as soon as the network is back, and the server frees what it kept for it.
"""

__all__ = ["CALLER", "DIRECT", "MAX_MESSAGE_BYTES", "SERVER"]

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Twice the largest message: a listing of the most stocks, with the longest names. The default of
gRPC is 4 MiB."""

_SILENCE_MS = 1000
"""How long an end hears nothing before it sends a ping; calls come more often than that."""
_ANSWER_MS = 1000
"""How long it waits for the answer, which gRPC sends even while the reactor is busy."""

DIRECT = (
    # The environment may name a proxy for the internet.
    ("grpc.enable_http_proxy", 0),
    # A name's TXT records must not configure calls.
    ("grpc.service_config_disable_resolution", 1),
)
"""Options of any channel: a service connects to the addresses in its options, and nowhere else."""

_BOTH = (
    ("grpc.keepalive_time_ms", _SILENCE_MS),
    # Two timeouts. The first is TCP's (TCP_USER_TIMEOUT, on Linux), for bytes that the other
    # machine does not acknowledge, such as a large message in front of the ping. The second runs
    # once the ping has been sent; its default is a minute.
    ("grpc.keepalive_timeout_ms", _ANSWER_MS),
    ("grpc.http2.ping_timeout_ms", _ANSWER_MS),
    # An idle connection is watched, too, so that the next call need not wait.
    ("grpc.keepalive_permit_without_calls", 1),
    # By default, an end that sends nothing else sends two pings, and then one a minute.
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)

CALLER = (*DIRECT, *_BOTH)
"""Options of a channel to a server that has those of `SERVER`."""

SERVER = (
    *_BOTH,
    # By default, a server closes a connection with more than one ping in five minutes.
    ("grpc.http2.max_ping_strikes", 0),
)
"""Options of a server."""
