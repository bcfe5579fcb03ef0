"""Network namespaces for a trial: whether this machine allows them, and how to enter them.

A command that is started with `isolating_command()` in front has its own network, mounts and
process ids, and every process in there ends with it. Where user namespaces are allowed, that
needs no root.
"""

import os
from collections.abc import Sequence

from twisted.internet.utils import getProcessOutputAndValue

from .processes import environment

__all__ = ["isolating_command", "set_up_namespaces"]

UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]

SET_UP = """
mount -t tmpfs none /run
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
"""
"""Once inside: `ip netns` keeps its names below /run, and the process is to be a router."""

PROBE = f"""set -e
{SET_UP}
ip netns add probe
ip link add probe0 type veth peer eth0 netns probe
ip rule add iif probe0 to 192.0.2.1 priority 100 blackhole
ip rule del iif probe0 to 192.0.2.1 priority 100 blackhole
ip route add local 192.0.2.1 dev lo table 1001
ip route del local 192.0.2.1 dev lo table 1001
"""


async def isolating_command() -> tuple[Sequence[str], str]:
    """The words to put in front of a command; if there are none, the reason."""
    ways = [[*UNSHARE[:1], "--user", "--map-root-user", *UNSHARE[1:]]]
    if os.geteuid() == 0:
        ways.insert(0, UNSHARE)
    why = ""
    for way in ways:
        try:
            _, said, status = await getProcessOutputAndValue(
                "/usr/bin/env", [*way, "sh", "-c", PROBE], environment()
            )
        except OSError as error:
            return (), str(error)
        if status == 0:
            return way, ""
        why = " ".join(said.decode("utf-8", "replace").split()) or f"status {status}"
    return (), why


async def set_up_namespaces() -> None:
    """Prepare the namespaces that this process was started in. Raises OSError."""
    _, said, status = await getProcessOutputAndValue(
        "/usr/bin/env", ["sh", "-ec", SET_UP], environment()
    )
    if status != 0:
        raise OSError(said.decode("utf-8", "replace").strip())
