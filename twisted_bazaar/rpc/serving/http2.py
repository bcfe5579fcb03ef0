"""The server's end of an HTTP/2 connection: h2, configured and adapted for gRPC. Pure."""

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RemoteSettingsChanged
from h2.settings import SettingCodes, Settings

from .limits import Limits

__all__ = ["ANY_STREAM", "STREAM_WINDOW", "Http2"]

ANY_STREAM = 2**31 - 1

STREAM_WINDOW = 1024 * 1024
CONNECTION_WINDOW = 4 * 1024 * 1024
"""Initial flow-control windows, in bytes."""
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

    def receive(self, data: bytes) -> list[Event]:
        """The events of `data`. Raises h2's `ProtocolError`, with GOAWAY ready to be sent."""
        events = self.receive_data(data)
        self._stay_open()
        for event in events:
            if isinstance(event, DataReceived):
                self._uncredited += event.flow_controlled_length
            elif isinstance(event, RemoteSettingsChanged):
                # h2 keeps every setting that it receives, up to 65,536 unknown ones.
                for code in event.changed_settings.keys() - _KNOWN_SETTINGS:
                    self.remote_settings.pop(code, None)
        if self._uncredited >= CONNECTION_WINDOW // 2:
            self.increment_flow_control_window(self._uncredited)
            self._uncredited = 0
        return events

    def go_away(self, last_stream: int) -> None:
        """Send GOAWAY: streams after `last_stream` are not served."""
        self.close_connection(ErrorCodes.NO_ERROR, last_stream_id=last_stream)
        self._stay_open()

    def _stay_open(self) -> None:
        if self.state_machine.state is ConnectionState.CLOSED:
            self.state_machine.state = ConnectionState.SERVER_OPEN
