"""Readers of `GET /events`, in a process of their own, that do as little as possible.

python -m load.bench.reading HOST:PORT READERS ENCODING FILE

It connects READERS readers, writes FILE once each has its first bytes, and reads until its standard
input ends. Then it prints how much came, as a line of JSON.
"""

import json
import selectors
import socket
import sys
from pathlib import Path

__all__ = ["main"]

PIECE_BYTES = 1 << 20


def main() -> None:
    at, readers, encoding, file = sys.argv[1:]
    host, _, port = at.rpartition(":")
    request = (
        f"GET /events HTTP/1.1\r\nHost: {at}\r\nAccept-Encoding: {encoding}\r\n\r\n"
    ).encode()
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin.buffer, selectors.EVENT_READ)
    for _ in range(int(readers)):
        connection = socket.create_connection((host, int(port)))
        connection.sendall(request)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
    piece = bytearray(PIECE_BYTES)
    begun: set[int] = set()
    reads = received = ended = 0
    while True:
        for key, _ in selector.select():
            if not isinstance(key.fileobj, socket.socket):
                print(json.dumps({"reads": reads, "bytes": received, "ended": ended}))
                return
            count = key.fileobj.recv_into(piece)
            if not count:
                selector.unregister(key.fileobj)
                ended += 1
            reads += 1
            received += count
            if key.fd not in begun:
                begun.add(key.fd)
                if len(begun) == int(readers):
                    Path(file).write_text("")


if __name__ == "__main__":
    main()
