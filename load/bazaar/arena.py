"""Network namespaces to play in: whether this machine allows them, and how to get in.

What is started with `ENTER` in front has a network, mounts and process ids of its own, and
everything in there ends with it. No root is needed where user namespaces are allowed.
"""

import os
from collections.abc import Sequence

from twisted.internet.utils import getProcessOutputAndValue

from .processes import environment

__all__ = ["enter", "furnish"]

UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]

FURNISH = """
mount -t tmpfs none /run
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
"""
"""Done once inside: `ip netns` keeps its names below /run, and we are to be a router."""

PROBE = f"""set -e
{FURNISH}
ip netns add probe
ip link add probe0 type veth peer eth0 netns probe
ip rule add iif probe0 to 192.0.2.1 priority 100 blackhole
ip rule del iif probe0 to 192.0.2.1 priority 100 blackhole
ip route add local 192.0.2.1 dev lo table 1001
ip route del local 192.0.2.1 dev lo table 1001
"""


async def enter() -> tuple[Sequence[str], str]:
    """The words to put in front of a command; if there are none, why not."""
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


async def furnish() -> None:
    """Make ready the namespaces that this process was started in."""
    _, said, status = await getProcessOutputAndValue(
        "/usr/bin/env", ["sh", "-ec", FURNISH], environment()
    )
    if status != 0:
        raise OSError(said.decode("utf-8", "replace").strip())
