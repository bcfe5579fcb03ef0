"""The calls that say how the bazaar is, and what it offers. Pure."""

from typing import Literal

from twisted_bazaar import __version__
from twisted_bazaar.access import Permission
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason
from twisted_bazaar.status.report import (
    CatalogState,
    ClusterStatus,
    Figures,
    FrontendState,
    ReplicaState,
)

from .headers import CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS
from .vocabulary import Answer, Example, Operation, holding

__all__ = ["DESCRIPTION", "LIVE", "OLD_PING", "PAGE", "PING", "READY", "REPLICAS", "STATUS"]

_REPORTS = [
    answers.ReplicaReport(
        id=replica,
        role=role,
        term=1,
        last_number=0,
        last_index=2,
        digest="533f57ba0dcb6c4a4e0d8be8d1a1a7f0",
        reachable=True,
        disk_seconds=0.0004,
    )
    for replica, role in ((1, "follower"), (2, "follower"), (3, "leader"))
]

PING = Operation(
    id="ping",
    permission=None,
    tag="state",
    summary="Reach the front-end",
    says="Answered by the front-end alone.",
    answers=(
        Answer(
            says="It is reached.",
            body=holding("Pong", Literal["pong"]),
            headers=(CACHE_CONTROL,),
        ),
    ),
    examples=(Example(says="Pong", target="/ping", answer=answers.success("pong")),),
)

OLD_PING = Operation(
    id="oldPing",
    permission=None,
    tag="state",
    summary="Reach the front-end",
    says="Answered by the front-end alone.",
    answers=(
        Answer(
            says="It is reached.",
            body=holding("OldPong", holding("OldPongData", Literal["pong"])),
            headers=(CACHE_CONTROL,),
        ),
    ),
    examples=(Example(says="Pong", target="/ping", answer=answers.success({"data": "pong"})),),
)

LIVE = Operation(
    id="live",
    permission=None,
    tag="state",
    summary="Whether the front-end is alive",
    says="Answered by the front-end alone.",
    answers=(
        Answer(
            says="It is alive.",
            body=holding("Alive", Literal["alive"]),
            headers=(CACHE_CONTROL,),
        ),
    ),
    examples=(Example(says="Alive", target="/livez", answer=answers.success("alive")),),
)

READY = Operation(
    id="ready",
    permission=None,
    tag="state",
    summary="Whether trades and lookups can be served",
    says="Ready means: a leader is known and a catalog answers.",
    answers=(Answer(says="It is ready.", body=answers.Ready, headers=(CACHE_CONTROL,)),),
    refusals=(Reason.NOT_READY,),
    examples=(
        Example(says="Ready", target="/readyz", answer=answers.ready(None)),
        Example(
            says="No leader",
            target="/readyz",
            code=503,
            reason=Reason.NOT_READY,
            met=Unavailable("no order replica leads"),
            answer=answers.error(503, "not_ready", "not ready: no order replica leads"),
        ),
    ),
)

DESCRIPTION = Operation(
    id="getDescription",
    permission=None,
    tag="description",
    summary="This description",
    says="OpenAPI 3.1, made from the declarations that the front-end's own code follows.",
    answers=(
        Answer(
            says="The description.",
            schema={"type": "object", "required": ["openapi", "info", "paths", "components"]},
            headers=(CACHE_CONTROL,),
        ),
    ),
)

PAGE = Operation(
    id="getDocs",
    permission=None,
    tag="description",
    summary="This description as a page",
    says="It needs no script and no other host.",
    answers=(
        Answer(
            says="A page of HTML.",
            media_type="text/html",
            schema={"type": "string"},
            headers=(CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS, CACHE_CONTROL),
        ),
    ),
)


REPLICAS = Operation(
    id="listReplicas",
    permission=Permission.READ,
    tag="state",
    summary="The order replicas",
    says="The last status of each, which is never older than a few pings: what the replica knows "
    "to be committed.",
    answers=(
        Answer(
            says="Every order replica, by id.",
            body=holding("ReplicasAnswer", list[answers.ReplicaReport]),
            headers=(CACHE_CONTROL,),
        ),
    ),
    examples=(
        Example(says="Three replicas", target="/replicas", answer=answers.success(_REPORTS)),
    ),
)

_STATUS = ClusterStatus(
    version=__version__,
    time="2026-11-28T07:30:00.000Z",
    ready=True,
    problem=None,
    notice=None,
    leader=3,
    term=1,
    last_number=0,
    frontends=[
        FrontendState(
            address="127.0.0.1:7010", is_self=True, lease_seconds=0.93, kept_out_seconds=0
        )
    ],
    catalogs=[
        CatalogState(
            address="127.0.0.1:7000",
            reachable=True,
            serving=True,
            lease_seconds=0.8,
            applied_index=2,
            behind=0,
        )
    ],
    replicas=[
        ReplicaState(
            id=replica,
            address=f"127.0.0.1:700{replica}",
            role="leader" if replica == 3 else "follower",
            reachable=True,
            term=1,
            last_number=0,
            last_index=2,
            behind=0,
            behind_seconds=0.0,
            disk_seconds=0.0004,
        )
        for replica in (1, 2, 3)
    ],
    figures=Figures(uptime_seconds=31.2),
)

STATUS = Operation(
    id="getStatus",
    permission=Permission.READ,
    tag="state",
    summary="The whole bazaar, and what this front-end has counted",
    says="Replicas are as of the last pings. Catalogs are asked when somebody asks, once a second "
    "at most. What is not known is null: of a process that does not answer, or is of an earlier "
    "release. `figures` are of this front-end, since it started: take differences.",
    answers=(
        Answer(
            says="Front-ends, catalogs and replicas.",
            body=holding("StatusAnswer", ClusterStatus),
            headers=(CACHE_CONTROL,),
        ),
    ),
    examples=(Example(says="All is well", target="/status", answer=answers.success(_STATUS)),),
)
