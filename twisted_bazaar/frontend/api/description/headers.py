"""Headers of requests and answers. Pure."""

from .vocabulary import Header, Parameter

__all__ = [
    "RATE_LIMITS",
    "ALLOW",
    "CACHE_CONTROL",
    "CONTENT_SECURITY_POLICY",
    "ENTITY_TAG",
    "FILE_TAG",
    "IDEMPOTENCY_KEY",
    "IDEMPOTENT_REPLAYED",
    "IF_NONE_MATCH",
    "LOCATION",
    "REFERRER_POLICY",
    "REPEAT_KEY",
    "REQUEST_ID",
    "REQUEST_ID_SHOWN",
    "RETRY_AFTER",
    "WWW_AUTHENTICATE",
    "X_CACHE",
    "X_CONTENT_TYPE_OPTIONS",
]

_UNQUOTED = r"[!#-~](?:[ -~]{0,126}[!-~])?"
_OUTER = r'(?:[!#-\[\]-~]|\\["\\])'
_INNER = r'(?:[ !#-\[\]-~]|\\["\\])'

IDEMPOTENCY_KEY = Parameter(
    name="Idempotency-Key",
    place="header",
    says="The key of the trade, which never has more than one order: 1 to 128 printable ASCII "
    "characters, none of the outer ones a space. It may be quoted, as a string of RFC 8941 is: "
    '`"k"` is the key `k`. The field `client_order_id` says the same.',
    schema={
        "type": "string",
        "pattern": f'^(?:{_UNQUOTED}|"{_OUTER}(?:{_INNER}{{0,126}}{_OUTER})?")$',
    },
    example="bot-7-trade-1",
)
IF_NONE_MATCH = Parameter(
    name="If-None-Match",
    place="header",
    says="Entity tags that the client has the bodies of: a list, or `*`. One that is malformed "
    "counts as none.",
    schema={"type": "string"},
)

ALLOW = Header(
    name="Allow",
    says="The methods of this path.",
    schema={"type": "string"},
)
CACHE_CONTROL = Header(
    name="Cache-Control",
    says="HTTP caches must ask again each time.",
    schema={"const": "no-cache", "type": "string"},
)
CONTENT_SECURITY_POLICY = Header(
    name="Content-Security-Policy",
    says="What the page may load: what is its own, and nothing else.",
    schema={"type": "string"},
)
ENTITY_TAG = Header(
    name="ETag",
    says="Names the history of the order log and the version in it. It is missing if the history "
    "is not known.",
    schema={"type": "string", "pattern": '^"[0-9a-f]{16}-[0-9]+"$'},
    required=False,
)
FILE_TAG = Header(
    name="ETag",
    says="Names the content of the file.",
    schema={"type": "string", "pattern": '^"[0-9a-f]+"$'},
)
IDEMPOTENT_REPLAYED = Header(
    name="Idempotent-Replayed",
    says="The order was made by an earlier call with this key.",
    schema={"const": "true", "type": "string"},
    required=False,
)
LOCATION = Header(
    name="Location",
    says="Where the order is found, if the trade was executed.",
    schema={"type": "string"},
)
REFERRER_POLICY = Header(
    name="Referrer-Policy",
    says="Where a link leads is not told where it was.",
    schema={"type": "string", "const": "no-referrer"},
)
REQUEST_ID = Parameter(
    name="X-Request-ID",
    place="header",
    says="A name for this request: 1 to 128 printable ASCII characters without spaces. Without "
    "one, or with another one, the front-end makes one.",
    schema={"type": "string"},
)
REQUEST_ID_SHOWN = Header(
    name="X-Request-ID",
    says="The name of this request, in the logs too.",
    schema={"type": "string"},
)
REPEAT_KEY = Header(
    name="Idempotency-Key",
    says="With `outcome_unknown`: the key under which the trade can be sent again.",
    schema={"type": "string"},
    required=False,
)
RETRY_AFTER = Header(
    name="Retry-After",
    says="Seconds after which the same request may succeed.",
    schema={"type": "integer", "minimum": 1},
)
WWW_AUTHENTICATE = Header(
    name="WWW-Authenticate",
    says="How to show who calls (RFC 6750).",
    schema={"type": "string", "pattern": "^Bearer "},
)
RATE_LIMITS = (
    Header(
        name="X-RateLimit-Limit",
        says="Requests that the client may make at once. It is absent if its rate is not limited.",
        schema={"type": "integer", "minimum": 1},
        required=False,
    ),
    Header(
        name="X-RateLimit-Remaining",
        says="How many of these are left now. More come evenly.",
        schema={"type": "integer", "minimum": 0},
        required=False,
    ),
    Header(
        name="X-RateLimit-Reset",
        says="Seconds until all are back, if no request is made.",
        schema={"type": "integer", "minimum": 0},
        required=False,
    ),
)
X_CACHE = Header(
    name="X-Cache",
    says="Whether the stock came from the front-end's cache; `off`: it has none.",
    schema={"type": "string", "enum": ["hit", "miss", "off"]},
)
X_CONTENT_TYPE_OPTIONS = Header(
    name="X-Content-Type-Options",
    says="Its type is as it is called.",
    schema={"type": "string", "const": "nosniff"},
)
