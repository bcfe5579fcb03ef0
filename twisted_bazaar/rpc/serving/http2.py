"""The server's end of an HTTP/2 connection: h2, configured and adapted for gRPC. Pure."""

from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Any

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RemoteSettingsChanged
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream, StreamState
from hyperframe.frame import DataFrame, Frame, HeadersFrame

from .framing import ANSWER_HEAD, trailers
from .limits import Limits

__all__ = ["ANY_STREAM", "STREAM_WINDOW", "Http2"]

ANY_STREAM = 2**31 - 1

STREAM_WINDOW = 1024 * 1024
CONNECTION_WINDOW = 4 * 1024 * 1024
"""Initial flow-control windows, in bytes."""
LARGEST_WINDOW = 2**31 - 1
_DEFAULT_WINDOW = 65535

_REFUSABLE_STREAMS = 128
"""Streams above SETTINGS_MAX_CONCURRENT_STREAMS that are refused one by one, as RFC 9113 has it
(5.1.2). h2 ends the connection at the first stream above the limit that it knows."""

_CONFIG = H2Configuration(
    client_side=False,
    header_encoding=None,
    # `read_head` validates requests: h2 would end the connection for one malformed request.
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)

_KNOWN_SETTINGS = frozenset(SettingCodes)

_END_STREAM, _END_HEADERS = 0x1, 0x4
_FRAME_HEAD = Struct(">HBBBI")


def _frame_head(length: int, kind: int, flags: int, stream: int) -> bytes:
    return _FRAME_HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream)


def _block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """`fields` as a header block that neither reads nor changes the compression table, so that it
    may be sent at any time: names and values in full, not to be indexed (RFC 7541, 6.2.2)."""
    return b"".join(b"\0%c%b%c%b" % (len(name), name, len(value), value) for name, value in fields)


_ANSWER_HEAD, _OK = _block(ANSWER_HEAD), _block(trailers(0, ""))


class Http2(H2Connection):
    """An h2 connection on which calls go on after GOAWAY, in either direction (RFC 9113, 6.8)."""

    # h2 keeps how each of these ended; its default of 65,536 takes 5 MB.
    MAX_CLOSED_STREAMS = 1024

    def __init__(self, limits: Limits) -> None:
        super().__init__(_CONFIG)
        settings = {
            SettingCodes.MAX_CONCURRENT_STREAMS: limits.streams,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: limits.header_bytes,
        }
        self.decoder.max_header_list_size = limits.header_bytes
        self.local_settings = Settings(client=False, initial_values=settings)
        self.initiate_connection()
        self.increment_flow_control_window(CONNECTION_WINDOW - _DEFAULT_WINDOW)
        settings[SettingCodes.MAX_CONCURRENT_STREAMS] += _REFUSABLE_STREAMS
        self.local_settings = Settings(client=False, initial_values=settings)
        self._uncredited = 0
        self.unknown: dict[int, int] = {}
        """Streams of calls under way that h2 does not know, as it has not read them (`shortcut`);
        of each, by how much the client has enlarged the window."""

    def receive(self, data: bytes) -> list[Event]:
        """The events of `data`. Raises h2's `ProtocolError`, with GOAWAY ready to be sent."""
        for stream in tuple(self.unknown):
            self.adopt(stream)
        events = self.receive_data(data)
        for event in events:
            if isinstance(event, DataReceived):
                self._uncredited += event.flow_controlled_length
            elif isinstance(event, RemoteSettingsChanged):
                # h2 keeps every setting that it receives, up to 65,536 unknown ones.
                for code in event.changed_settings.keys() - _KNOWN_SETTINGS:
                    self.remote_settings.pop(code, None)
        self._credit()
        return events

    def _credit(self) -> None:
        if self._uncredited >= CONNECTION_WINDOW // 2:
            self.increment_flow_control_window(self._uncredited)
            self._uncredited = 0

    # Calls that are not read by h2.

    def can_take(self, received: int, credits: Mapping[int, int]) -> bool:
        """Whether there is room in the windows for so many bytes of requests, and for `credits`:
        see `took`."""
        largest = LARGEST_WINDOW - max(
            self.outbound_flow_control_window, self.remote_settings.initial_window_size
        )
        return (
            received <= self._inbound_flow_control_window_manager.current_window_size
            and max(credits.values()) <= largest
        )

    def took(self, received: int, credits: Mapping[int, int]) -> None:
        """Requests have been received without h2, with so many bytes. `credits` has their streams,
        and how much the client has enlarged the window of each; and, by 0, that of the
        connection."""
        self.unknown.update(credits)
        self.outbound_flow_control_window += self.unknown.pop(0)
        self.highest_inbound_stream_id = max(self.highest_inbound_stream_id, *credits)
        self._inbound_flow_control_window_manager.window_consumed(received)
        self._uncredited += received
        self._credit()

    def answer(self, stream: int, message: bytes) -> bytes | None:
        """The frames that end the call on `stream` with OK and `message`, which has its prefix;
        None: h2 has to send it, in pieces."""
        size = len(message)
        if (
            stream not in self.unknown
            or size > self.outbound_flow_control_window
            or size > self.remote_settings.initial_window_size
            or size > self.max_outbound_frame_size
            or self.encoder.table_size_changes
        ):
            return None
        del self.unknown[stream]
        self.outbound_flow_control_window -= size
        return b"".join(
            (
                _frame_head(len(_ANSWER_HEAD), HeadersFrame.type, _END_HEADERS, stream),
                _ANSWER_HEAD,
                _frame_head(size, DataFrame.type, 0, stream),
                message,
                _frame_head(len(_OK), HeadersFrame.type, _END_HEADERS | _END_STREAM, stream),
                _OK,
            )
        )

    def adopt(self, stream: int) -> None:
        """Let h2 know `stream`, if it does not: its request has come whole."""
        credit = self.unknown.pop(stream, None)
        if credit is None:
            return
        known = self.streams[stream] = H2Stream(
            stream,
            config=self.config,
            inbound_window_size=self.local_settings.initial_window_size,
            outbound_window_size=self.remote_settings.initial_window_size + credit,
        )
        known.max_outbound_frame_size = self.max_outbound_frame_size
        machine = known.state_machine
        machine.state = StreamState.HALF_CLOSED_REMOTE
        machine.client, machine.headers_received = False, True

    def send_headers(self, stream_id: int, *args: Any, **kwargs: Any) -> None:
        """As h2's."""
        self.adopt(stream_id)
        super().send_headers(stream_id, *args, **kwargs)

    def reset_stream(self, stream_id: int, *args: Any, **kwargs: Any) -> None:
        """As h2's."""
        self.adopt(stream_id)
        super().reset_stream(stream_id, *args, **kwargs)

    def go_away(self, last_stream: int) -> None:
        """Send GOAWAY: streams after `last_stream` are not served."""
        self.close_connection(ErrorCodes.NO_ERROR, last_stream_id=last_stream)
        self._stay_open()

    def _receive_frame(self, frame: Frame) -> list[Event]:
        """As h2's, which takes nothing after GOAWAY: the end of a call may come in the same bytes,
        most of all to a process that was paused."""
        events: list[Event] = super()._receive_frame(frame)
        self._stay_open()
        return events

    def _stay_open(self) -> None:
        if self.state_machine.state is ConnectionState.CLOSED:
            self.state_machine.state = ConnectionState.SERVER_OPEN
