"""Clients are served by HTTPS, and a certificate is replaced while they are; the cache is reached
by TLS, with a password that nobody is shown.
"""

import http.client
import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.edge_files import ServerFiles
from twisted_bazaar.runtime.address import Address

from .bazaar import Bazaar
from .redis_server import Redis
from .tls_proxy import TlsProxy
from .waiting import wait_until

pytestmark = pytest.mark.slow

Start = Callable[..., Bazaar]
PASSWORD = "hush-7f3b"


@pytest.fixture
def files(tmp_path: Path) -> ServerFiles:
    made = ServerFiles(tmp_path)
    made.write(1)
    return made


@pytest.fixture
def cache(tmp_path: Path, files: ServerFiles) -> Iterator[str]:
    """The URL of a Redis."""
    redis = Redis(tmp_path)
    redis.start("--requirepass", PASSWORD)
    with TlsProxy(files, redis.address) as proxy:
        yield f"rediss://:{PASSWORD}@{proxy.address}"
    redis.stop()


@pytest.fixture
def served(tmp_path: Path, files: ServerFiles, cache: str, start_bazaar: Start) -> Bazaar:
    listen = f"--listen=ssl:0:{files.endpoint}:interface=127.0.0.1"
    # It must stay as it is while that of the front-end is replaced.
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(files.certificate.read_bytes())
    environment = {"BAZAAR_CACHE": cache, "SSL_CERT_FILE": str(trusted)}
    options = (listen, "--hsts=60", "--replicas=1")
    return start_bazaar(*options, ready=False, environment=environment)


def connect(bazaar: Bazaar, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    at = Address.parse(bazaar.processes()["frontend"]["address"])
    connection = http.client.HTTPSConnection("localhost", at.port, timeout=10, context=context)
    connection.connect()
    return connection


def ask(connection: http.client.HTTPConnection, path: str, body: object = None) -> tuple[int, str]:
    answer, said = asked(connection, path, body)
    return answer.status, said


def asked(
    connection: http.client.HTTPConnection, path: str, body: object = None
) -> tuple[http.client.HTTPResponse, str]:
    said = None if body is None else json.dumps(body)
    method = "GET" if said is None else "POST"
    connection.request(method, path, said, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer, answer.read().decode()


def tool(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "twisted_bazaar", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)


def test_clients_trade_by_tls_and_a_certificate_is_replaced_without_a_restart(
    served: Bazaar, files: ServerFiles
) -> None:
    def is_ready() -> bool:
        try:
            return ask(connect(served, files.trust()), "/readyz")[0] == 200
        except OSError:
            return False

    wait_until(is_ready, "GET /readyz answers 200", 30, why_not=served.tail)
    former = files.trust()
    kept = connect(served, former)
    trade = {"name": "GameStart", "quantity": 1, "type": "buy"}
    status, said = ask(kept, "/orders", trade)
    assert (status, json.loads(said)["data"]["transaction_number"]) == (200, 1)
    pid = served.process_id("frontend")

    def is_cached() -> bool:
        answer, _ = asked(kept, "/stocks/GameStart")
        return answer.headers["X-Cache"] == "hit"

    wait_until(is_cached, "lookups come from the cache", 10, why_not=served.tail)
    shown_to_all = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    shown_to_all += [(served.data / "processes.json").read_bytes(), served.log.read_bytes()]
    assert not [each for each in shown_to_all if PASSWORD.encode() in each]

    files.write(2)

    def shows_the_new_one() -> bool:
        try:
            connect(served, files.trust()).close()
        except ssl.SSLCertVerificationError:
            return False
        return True

    wait_until(shows_the_new_one, "the new certificate is shown", 10, why_not=served.tail)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(served, former)
    # The connection that stands is served on.
    assert ask(kept, "/stocks/GameStart")[0] == 200
    assert served.process_id("frontend") == pid
    # The line goes through the process that writes the log.
    said = "the certificate for clients was read again"
    wait_until(lambda: said in served.log.read_text(), "the log says so", 10)

    shown = tool("status", "--data", str(served.data), "--cacert", str(files.certificate))
    assert "https://127.0.0.1:" in shown.stdout, shown.stderr
    refused = tool("status", "--data", str(served.data))
    assert "certificate verify failed" in refused.stderr
    at = Address.parse(served.processes()["frontend"]["address"])
    listen = f"ssl:{at.port}:{files.endpoint}:interface=127.0.0.1"
    assert tool("health", BAZAAR_LISTEN=listen).stdout == f"ok: https://{at}/livez\n"
