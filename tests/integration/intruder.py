"""One who reaches the ports inside a bazaar, and shows one certificate or another, or none."""

import http.client
import socket
import ssl
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import grpc

from twisted_bazaar.rpc.frames.format import (
    ANSWER,
    GREETING,
    MAGIC,
    REFUSAL,
    Decoder,
    Greeting,
    decode_refusal,
    decode_welcome,
    encode_greeting,
    frame,
)
from twisted_bazaar.security.authority import INSIDE
from twisted_bazaar.security.folder import CertificateFolder
from twisted_bazaar.security.roles import Kind, Role

__all__ = ["CLOSED", "DENIED", "Intruder"]

SECONDS = 5.0
CLOSED = "closed"
"""The connection was given up, and nothing was heard on it."""
DENIED = "denied"
"""The role may not do this."""

_CODES = {grpc.StatusCode.UNAVAILABLE: CLOSED, grpc.StatusCode.PERMISSION_DENIED: DENIED}


@attrs.frozen
class Intruder:
    """Who calls. What is said of a call is `CLOSED`, `DENIED`, or what the service answered."""

    name: str
    trusts: Path | None
    """The certificate of the authority that it believes the servers by; None: it speaks plain
    text."""
    shows: CertificateFolder | None = None
    """Where its own certificate is; None: it has none."""
    role: Role = attrs.field(factory=partial(Role, Kind.FRONTEND))

    def _files(self) -> tuple[Path, Path] | None:
        return self.shows and (self.shows.certificate(self.role), self.shows.key(self.role))

    # gRPC.

    def channel(self, address: str) -> grpc.Channel:
        if self.trusts is None:
            return grpc.insecure_channel(address)
        own = self._files()
        certificate, key = own if own else (None, None)
        return grpc.secure_channel(
            address,
            grpc.ssl_channel_credentials(
                self.trusts.read_bytes(),
                key and key.read_bytes(),
                certificate and certificate.read_bytes(),
            ),
            [("grpc.ssl_target_name_override", INSIDE)],
        )

    @staticmethod
    def call(channel: grpc.Channel, method: Any, body: bytes) -> str:
        """What comes of a call of `method`, a descriptor, with an encoded request."""
        path = f"/{method.containing_service.full_name}/{method.name}"
        try:
            if method.client_streaming:
                next(channel.stream_stream(path)(iter([body]), timeout=SECONDS))
            elif method.server_streaming:
                next(channel.unary_stream(path)(body, timeout=SECONDS))
            else:
                channel.unary_unary(path)(body, timeout=SECONDS)
        except grpc.RpcError as failure:
            error: Any = failure
            code: str = _CODES.get(error.code(), error.code().name)
            return code
        return "OK"

    # Sockets.

    def connect(self, address: str) -> socket.socket:
        """Raises OSError."""
        host, _, port = address.rpartition(":")
        connected = socket.create_connection((host, int(port)), SECONDS)
        if self.trusts is None:
            return connected
        context = ssl.create_default_context(cafile=self.trusts)
        if own := self._files():
            context.load_cert_chain(*own)
        return context.wrap_socket(connected, server_hostname=INSIDE)

    def ask(self, address: str, kind: int, service: str, sender: int = 0) -> str:
        """What comes of a request of this kind in a frame."""
        heard: list[tuple[int, int, bytes]] = []
        raw = b""
        decoder = Decoder(lambda *each: heard.append(each), 1 << 20)
        with suppress(OSError), self.connect(address) as connected:
            hello = Greeting(service=service, sender=sender, to=0, cluster="")
            connected.sendall(MAGIC + frame(0, GREETING, encode_greeting(hello)))
            connected.sendall(frame(1, kind, b"\xff"))
            while data := connected.recv(65536):
                raw += data
                if self.trusts is None:
                    continue
                decoder.feed(data)
                for _, said, body in heard:
                    if said == GREETING and (refusal := decode_welcome(body).refusal):
                        return refusal
                    if said == ANSWER:
                        return "OK"
                    if said == REFUSAL:
                        code, text = decode_refusal(body)
                        return DENIED if code == 7 and "may not call" in text else text
        # An alert of TLS is not in clear to who speaks plain text.
        return CLOSED if not heard and len(raw) < 10 else f"heard {raw!r}"

    def fetch(self, address: str, path: str, body: bytes | None = None) -> str:
        """What comes of a request of HTTP, a POST if there is a body."""
        try:
            with self.connect(address) as connected:
                connection = http.client.HTTPConnection("inside")
                connection.sock = connected
                connection.request("GET" if body is None else "POST", path, body)
                answer = connection.getresponse()
                text = answer.read()
        except (OSError, http.client.HTTPException):
            return CLOSED
        return DENIED if answer.status == 403 and b"may not call" in text else str(answer.status)
