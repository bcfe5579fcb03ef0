"""The services of `twistd`. Every start of twistd imports this file: it must stay cheap."""

from twisted.application.service import ServiceMaker

bazaar = ServiceMaker(
    "bazaar",
    "twisted_bazaar.local.tap",
    "The whole bazaar on this machine: starts every service below and restarts it if it dies.",
    "bazaar",
)
frontend = ServiceMaker(
    "bazaar front-end",
    "twisted_bazaar.frontend.tap",
    "A front-end of the bazaar: REST for clients, cached lookups, trades to the leader.",
    "bazaar-frontend",
)
catalog = ServiceMaker(
    "bazaar catalog",
    "twisted_bazaar.catalog.tap",
    "A catalog of the bazaar: answers lookups from the order log and invalidates caches.",
    "bazaar-catalog",
)
order = ServiceMaker(
    "bazaar order replica",
    "twisted_bazaar.order.tap",
    "A replica of the order log of the bazaar, the source of truth for trades.",
    "bazaar-order",
)
