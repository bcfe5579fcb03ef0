"""A proxy that speaks TLS with its clients and plain text with a server, which cannot."""

import socket
import socketserver
import ssl
import threading
from types import TracebackType
from typing import Self

from tests.fakes.edge_files import ServerFiles
from twisted_bazaar.runtime.address import Address

__all__ = ["TlsProxy"]


class TlsProxy:
    """A context manager; it runs on threads, so that tests may block."""

    def __init__(self, files: ServerFiles, server: Address) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)

        class Passing(socketserver.BaseRequestHandler):
            request: socket.socket

            def handle(self) -> None:
                try:
                    with context.wrap_socket(self.request, server_side=True) as client:
                        self._pass(client)
                except OSError:
                    return

            def _pass(self, client: socket.socket) -> None:
                with socket.create_connection((server.host, server.port)) as behind:
                    back = threading.Thread(target=_copy, args=(behind, client), daemon=True)
                    back.start()
                    _copy(client, behind)
                    back.join(5)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Passing)
        self._server.daemon_threads = True
        self.address = Address("localhost", self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
