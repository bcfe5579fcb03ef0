-- The key of an order of a client is the client's name, the ASCII unit separator, and the client's
-- own key: see order_keys.py. Orders without a client are not in the index, so that they cost
-- nothing more. An index of what a column has, rather than a column: that would be written to all
-- rows now.
CREATE INDEX orders_client ON orders (part, split_part(key, chr(31), 1), number)
    WHERE position(chr(31) IN key) > 0;

CREATE OR REPLACE VIEW report_orders AS
    SELECT CASE WHEN b.partitions = 1 THEN o.number ELSE o.number * 1000 + o.part END AS number,
           o.part AS partition, to_timestamp(o.at / 1000.0) AS time, o.stock, o.side, o.quantity,
           o.price, o.limit_price,
           CASE WHEN o.made THEN NULL
                WHEN position(chr(31) IN o.key) > 0 THEN split_part(o.key, chr(31), 2)
                ELSE o.key END AS client_order_id,
           CASE WHEN position(chr(31) IN o.key) > 0 THEN split_part(o.key, chr(31), 1)
           END AS client
    FROM orders o JOIN tails p USING (part) CROSS JOIN bazaar b
    WHERE o.number <= p.released_number;

-- A client is the one that placed the order. Where there is no file of clients, it is what the key
-- has before its first colon.
CREATE OR REPLACE VIEW client_positions AS
    SELECT coalesce(client, split_part(client_order_id, ':', 1)) AS client, stock,
           count(*) AS orders,
           sum(CASE WHEN side = 'buy' THEN quantity ELSE -quantity END) AS shares,
           sum(CASE WHEN side = 'buy' THEN quantity ELSE -quantity END::numeric * price) AS paid
    FROM report_orders
    WHERE client IS NOT NULL OR position(':' IN client_order_id) > 1 GROUP BY 1, 2;
