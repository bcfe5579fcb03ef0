"""The services that `twistd` offers. Every twistd start reads this file: it must stay cheap."""

from twisted.application.service import ServiceMaker

bazaar = ServiceMaker(
    "bazaar",
    "twisted_bazaar.local.tap",
    "The whole bazaar on this machine: every service below, started and kept running.",
    "bazaar",
)
frontend = ServiceMaker(
    "bazaar front-end",
    "twisted_bazaar.frontend.tap",
    "A front-end of the bazaar: REST for clients, cached lookups, trades to whoever leads.",
    "bazaar-frontend",
)
catalog = ServiceMaker(
    "bazaar catalog",
    "twisted_bazaar.catalog.tap",
    "A catalog of the bazaar: answers lookups from the order log and keeps caches honest.",
    "bazaar-catalog",
)
order = ServiceMaker(
    "bazaar order replica",
    "twisted_bazaar.order.tap",
    "One replica of the order log of the bazaar, the only truth about trades.",
    "bazaar-order",
)
