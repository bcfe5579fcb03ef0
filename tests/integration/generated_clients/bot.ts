// Trades and reads by the client that is generated from the description: `node bot.js URL`.
import { createClient } from './client/client/index.js';
import { getOrder, getStock, listOrders, placeOrder } from './client/sdk.gen.js';

declare const process: { argv: string[] };

const client = createClient({ baseUrl: process.argv[2] });
const key = 'typescript-1';
const placed = await placeOrder({
  client,
  body: { name: 'GameStart', quantity: 2, type: 'buy', client_order_id: key },
});
if (placed.data === undefined) throw new Error(JSON.stringify(placed.error));
if (!('data' in placed.data)) throw new Error('it is unknown whether the trade was executed');
const number = placed.data.data.transaction_number;
if (number === null) throw new Error('the trade was only judged');
const read = await getOrder({ client, path: { number } });
if (read.data === undefined) throw new Error(JSON.stringify(read.error));
const listed = await listOrders({ client, query: { client_order_id: key } });
const stock = await getStock({ client, path: { name: 'GameStart' } });
const refused = await placeOrder({ client, body: { name: 'Nope', quantity: 1, type: 'buy' } });
console.log(
  JSON.stringify({
    number,
    order: read.data.data,
    listed: listed.data?.data,
    stock: stock.data?.data.name,
    reason: refused.error?.error.reason,
  }),
);
