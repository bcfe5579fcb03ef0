"""Positions: where a list or a stream over several partitions goes on, as one text. Pure.

There is a number for each partition, that of an order within it. As bytes they are compact: the
least of them, and the difference of each from it, seven bits a byte. A text is no secret and gives
no right: its checksum shows whether it was cut short or changed, and what it holds is checked like
what a client writes.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b

from twisted_bazaar.partitions import MAX_PARTITIONS

__all__ = ["MAX_LOCAL_NUMBER", "Positions", "packed", "sealed", "unpacked", "unsealed"]

Positions = tuple[int, ...]
"""By partition: the number of an order within it, or 0."""

MAX_LOCAL_NUMBER = (2**53 - 1) // MAX_PARTITIONS
"""No order has a higher number within its partition: clients could not be shown it."""

_SUM_BYTES = 6
_MORE = 0x80


def packed(positions: Sequence[int]) -> bytes:
    """`positions`, each 0 … `MAX_LOCAL_NUMBER`, as bytes that `unpacked` takes."""
    least = min(positions)
    data = bytearray()
    for value in (least, *(position - least for position in positions)):
        while value >= _MORE:
            data.append(value & (_MORE - 1) | _MORE)
            value >>= 7
        data.append(value)
    return bytes(data)


def unpacked(data: bytes, partitions: int) -> tuple[Positions, bytes] | None:
    """The positions, of so many partitions, that `data` begins with, and what comes after them.
    None: it does not begin with what `packed` returns."""
    values: list[int] = []
    value = shift = at = 0
    while len(values) <= partitions:
        if at == len(data) or value > MAX_LOCAL_NUMBER:
            return None
        byte = data[at]
        at += 1
        value |= (byte & (_MORE - 1)) << shift
        shift += 7
        if byte < _MORE:
            values.append(value)
            value = shift = 0
    positions = tuple(values[0] + each for each in values[1:])
    if max(positions) > MAX_LOCAL_NUMBER or packed(positions) != data[:at]:
        return None
    return positions, data[at:]


def sealed(content: bytes, purpose: bytes) -> bytes:
    """`content` as the text of a URL or header. `purpose` tells texts of different kinds apart."""
    return urlsafe_b64encode(_sum(content, purpose) + content).rstrip(b"=")


def unsealed(text: str, purpose: bytes) -> bytes | None:
    """The content of a text that `sealed` has made for `purpose`; None: it has not."""
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    summed, content = data[:_SUM_BYTES], data[_SUM_BYTES:]
    is_sealed = summed == _sum(content, purpose) and sealed(content, purpose).decode() == text
    return content if is_sealed else None


def _sum(content: bytes, purpose: bytes) -> bytes:
    return blake2b(content, digest_size=_SUM_BYTES, person=purpose).digest()
