"""Trades and reads by the client that is generated from the description: `python bot.py URL`."""

import json
import sys

from bazaar_client import Client
from bazaar_client.api.orders import get_order, list_orders, place_order
from bazaar_client.api.stocks import get_stock
from bazaar_client.models import Side, TradeRequest

client = Client(base_url=sys.argv[1])
key = "python-1"


def trade(name: str, key: str | None = None):
    return place_order.sync(
        client=client,
        body=TradeRequest(name=name, quantity=2, type_=Side.BUY, client_order_id=key),
    )


number = trade("GameStart", key).data.transaction_number
print(
    json.dumps(
        {
            "number": number,
            "order": get_order.sync(number, client=client).data.to_dict(),
            "listed": [
                each.to_dict() for each in list_orders.sync(client=client, client_order_id=key).data
            ],
            "stock": get_stock.sync("GameStart", client=client).data.name,
            "reason": trade("Nope").error.reason,
        }
    )
)
