"""The calls that serve the live page. Pure."""

from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason

from .headers import (
    CACHE_CONTROL,
    CONTENT_SECURITY_POLICY,
    FILE_TAG,
    IF_NONE_MATCH,
    REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
)
from .vocabulary import Answer, Example, Operation, Parameter

__all__ = ["FILE", "LIVE_PAGE"]

_HEADERS = (
    FILE_TAG,
    CONTENT_SECURITY_POLICY,
    X_CONTENT_TYPE_OPTIONS,
    REFERRER_POLICY,
    CACHE_CONTROL,
)
_KNOWN = Answer(code=304, says="It has not changed.", headers=_HEADERS)

LIVE_PAGE = Operation(
    id="getPage",
    permission=None,
    tag="page",
    summary="The live page",
    says="The market, a ticket to trade with, the trades, and the cluster as it is. It loads its "
    "parts and its data from here, and nothing from another host.",
    parameters=(IF_NONE_MATCH,),
    answers=(
        Answer(
            says="A page of HTML.",
            media_type="text/html",
            schema={"type": "string"},
            headers=_HEADERS,
        ),
        _KNOWN,
    ),
    examples=(
        Example(
            says="A page that the client has", target="/", sent={"If-None-Match": "*"}, code=304
        ),
    ),
)

FILE = Operation(
    id="getPageFile",
    permission=None,
    tag="page",
    summary="A part of the live page",
    says="What the page names.",
    parameters=(
        Parameter(
            name="file",
            place="path",
            says="The name of the file.",
            schema={"type": "string", "minLength": 1},
            example="page.css",
        ),
        IF_NONE_MATCH,
    ),
    answers=(
        Answer(
            says="The file.",
            media_type="text/css",
            other_media_types=("text/javascript", "text/html", "text/plain"),
            schema={"type": "string"},
            headers=_HEADERS,
        ),
        _KNOWN,
    ),
    refusals=(Reason.NO_SUCH_PATH,),
    examples=(
        Example(
            says="A part that there is not",
            target="/page/nothing.js",
            code=404,
            reason=Reason.NO_SUCH_PATH,
            answer=answers.error(404, "no_such_path", "there is nothing at this path"),
        ),
    ),
)
