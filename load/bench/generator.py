"""The load generator, in its own process: `wrk` where it is installed, else `load.bench.client`."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from twisted.internet.utils import getProcessOutputAndValue

from load.bazaar.processes import environment
from load.errors import CannotRun

from .figures import Sample

__all__ = ["Generator", "ask"]

_WRK = """
local paths, bodies = {%(paths)s}, {%(bodies)s}
local count, headers = 0, {%(headers)s}
function request()
  count = count + 1
  if #bodies > 0 then
    headers["Content-Type"] = "application/json"
    return wrk.format("POST", "/orders", headers, bodies[(count - 1) %% #bodies + 1])
  end
  return wrk.format("GET", paths[(count - 1) %% #paths + 1], headers)
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"rate": %%.3f, "p50_ms": %%.4f, "p99_ms": %%.4f, "errors": %%d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class Generator:
    """Sends requests of one kind to one front-end, over kept connections."""

    def __init__(self, folder: Path, api_key: str | None = None) -> None:
        """Scripts are written to `folder`. `wrk` sends `api_key` with each request, if there is
        one."""
        self._folder = folder
        self._wrk = shutil.which("wrk")
        self._headers = "" if api_key is None else f'Authorization = "Bearer {api_key}"'

    @property
    def is_wrk(self) -> bool:
        return self._wrk is not None

    @property
    def name(self) -> str:
        return "wrk" if self._wrk else "the load client, as there is no wrk"

    async def lookups(
        self, url: str, stocks: Sequence[str], connections: int, seconds: float
    ) -> Sample:
        """Look up each stock in turn."""
        return await self._load(url, "lookups", stocks, connections, seconds)

    async def trades(
        self, url: str, stocks: Sequence[str], connections: int, seconds: float
    ) -> Sample:
        """Buy a share of each stock in turn, and sell it again, so that stocks last."""
        return await self._load(url, "trades", stocks, connections, seconds)

    async def _load(
        self, url: str, kind: str, stocks: Sequence[str], connections: int, seconds: float
    ) -> Sample:
        if self._wrk is None:
            return await ask(
                [sys.executable, "-m", "load.bench.client", url, kind, ",".join(stocks),
                 str(connections), str(seconds)]
            )  # fmt: skip
        script = self._folder / f"{kind}.lua"
        paths = [f"/stocks/{name}" for name in stocks] if kind == "lookups" else []
        bodies = [trade(name, side) for name in stocks for side in ("buy", "sell")]
        listed = {
            "paths": _lua(paths),
            "bodies": _lua(bodies if kind == "trades" else []),
            "headers": self._headers,
        }
        script.write_text(_WRK % listed)
        return await ask(
            [self._wrk, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout=8s", "-s",
             str(script), url]
        )  # fmt: skip


def trade(name: str, side: str) -> str:
    """The body of a request for one share."""
    return msgspec.json.encode({"name": name, "quantity": 1, "type": side}).decode()


def _lua(texts: Sequence[str]) -> str:
    return ", ".join(f"[==[{text}]==]" for text in texts)


async def ask(command: Sequence[str]) -> Sample:
    """Run `command`, and read the sample in the last line of its output. Raises `CannotRun`."""
    out, err, status = await getProcessOutputAndValue(command[0], command[1:], env=environment())
    lines = out.decode("utf-8", "replace").strip().splitlines()
    try:
        return msgspec.json.decode(lines[-1] if lines else "", type=Sample)
    except msgspec.DecodeError:
        last = (err.decode("utf-8", "replace").strip().splitlines() or lines or [""])[-1]
        raise CannotRun(f"{command[0]} ended with status {status}: {last}") from None
