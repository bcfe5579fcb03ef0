"""Asks a front-end how its bazaar is, and finds it on this machine."""

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from twisted_bazaar.client.requests import authorization
from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.status.report import ClusterStatus

__all__ = ["API_KEY", "ANSWER_SECONDS", "DEFAULT_DATA", "DEFAULT_URL", "Answer", "Place"]

ANSWER_SECONDS = 3.0
"""A front-end that takes longer cannot be asked. It answers within half a second."""
API_KEY = "BAZAAR_API_KEY"
"""The environment variable of an API key: a command line is shown to all users of a machine."""
DEFAULT_DATA = Path("var")
DEFAULT_URL = "http://127.0.0.1:8081"
"""Where `twistd bazaar` listens if its operator names nothing else."""
_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a process that listens at all addresses is reached on its own machine."""


class Answer(msgspec.Struct, frozen=True):
    """What a front-end answered."""

    raw: bytes
    """As it was sent: JSON, of which a later release may have more fields."""
    status: ClusterStatus


class Place:
    """Where a front-end is asked, and which processes are those of its bazaar."""

    def __init__(
        self, url: str | None, data: Path | None, trusted: str | None = None, api_key: str = ""
    ) -> None:
        """`url` is that of a front-end, `data` the folder of a bazaar on this machine; None: none
        is given. `trusted` is the file of the certificates that are trusted where it is asked by
        HTTPS; None: those that this system trusts. `api_key` is sent along, without white space
        around it; empty: none is. Raises `Unusable` if the one is no URL, or another cannot be
        read, or be an API key."""
        # With another front-end, the folder that is here by chance may be of another bazaar.
        self._data = DEFAULT_DATA if data is None and url is None else data
        self._url = url
        self._trusted = trusted
        try:
            self._headers = authorization(api_key.strip() or None)
        except ValueError as why:
            raise Unusable(f"{API_KEY} holds none: {why}") from None
        self._found_url = DEFAULT_URL
        if url is not None:
            _split(url)
        if data is not None:
            _processes(data)

    def url(self) -> str:
        """Of the front-end, without a slash at the end. Raises `Unusable` if it is not known."""
        if self._url is not None:
            return self._url.rstrip("/")
        for process in self._known():
            if process.get("name") == "frontend":
                scheme = "https" if process.get("tls") else "http"
                self._found_url = f"{scheme}://{_reached_at(str(process.get('address')))}"
        return self._found_url

    def pids(self) -> Mapping[str, int]:
        """The process ids of services on this machine by their address: of a front-end, the
        internal one. Empty if that is not known."""
        return {
            str(each.get("internal") or each.get("address")): each["pid"]
            for each in self._known()
            if isinstance(each.get("pid"), int)
        }

    def _known(self) -> Sequence[Mapping[str, Any]]:
        """The processes, as far as the folder names them now."""
        if self._data is None:
            return ()
        try:
            return _processes(self._data)
        except Unusable:
            # The bazaar may be about to start.
            return ()

    def ask(self) -> Answer:
        """The answer of the front-end. Raises `Unusable` without one."""
        url = f"{self.url()}/status"
        raw = _get(url, self._trusted, self._headers)
        try:
            return Answer(raw, msgspec.json.decode(raw, type=_Body).data)
        except msgspec.MsgspecError as why:
            raise Unusable(f"{url} answers something else: {why}") from None


def _processes(data: Path) -> Sequence[Mapping[str, Any]]:
    """What `processes.json` in `data` lists. Raises `Unusable`."""
    path = data / "processes.json"
    try:
        found = json.loads(path.read_bytes())
    except OSError as why:
        raise Unusable(f"{path} cannot be read: {why.strerror}; is the bazaar running?") from None
    except ValueError:
        found = None
    if isinstance(found, list) and all(isinstance(each, dict) for each in found):
        return found
    raise Unusable(f"{path} is no list of processes")


class _Body(msgspec.Struct):
    data: ClusterStatus


def _reached_at(address: str) -> Address:
    try:
        at = Address.parse(address)
    except ValueError:
        raise Unusable(f"the front-end listens at {address}: --url must say where") from None
    return Address(_EVERYWHERE.get(at.host, at.host), at.port)


def _split(url: str) -> tuple[bool, str, int | None, str]:
    """Whether a URL is one of HTTPS, its host, its port and the path. Raises `Unusable`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise Unusable(f"--url must be such as {DEFAULT_URL}, not {url!r:.200}")
    return parts.scheme == "https", host, port, parts.path


def _get(url: str, trusted: str | None, headers: Mapping[str, str]) -> bytes:
    """The body of the answer to GET. `trusted` is as for `Place`."""
    is_secure, host, port, path = _split(url)
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    if is_secure:
        try:
            context = ssl.create_default_context(cafile=trusted)
        except (OSError, ssl.SSLError) as why:
            raise Unusable(f"--cacert {trusted} holds no certificate: {why}") from None
        connection = http.client.HTTPSConnection(
            host, port, timeout=ANSWER_SECONDS, context=context
        )
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        status, body = response.status, response.read(_MAX_ANSWER_BYTES)
    except (OSError, ValueError, http.client.HTTPException) as why:
        raise Unusable(f"{url} does not answer: {why}") from None
    finally:
        connection.close()
    if status == 404:
        raise Unusable(f"{url} is not there: the front-end is of an earlier release, or none")
    if status in (401, 403):
        raise Unusable(f"{url} needs the API key of a client that may read, in {API_KEY}")
    if status != 200:
        raise Unusable(f"{url} answers with status {status}")
    return body
