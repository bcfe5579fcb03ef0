-- A bazaar's order log: everything in the schema `bazaar`. The keys of what belongs to a partition
-- begin with `part`, so that an engine that spreads rows over machines can keep them together.

CREATE TABLE bazaar (
    name text NOT NULL,
    partitions int NOT NULL,
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);

-- The end of each partition's log, and who leads it. Each write of a leader compares and changes it,
-- so most of a page is left free: no index holds what changes.
CREATE TABLE partitions (
    part int PRIMARY KEY,
    term bigint NOT NULL DEFAULT 0,
    beat bigint NOT NULL DEFAULT 0,
    leader int NOT NULL DEFAULT 0,
    index bigint NOT NULL DEFAULT 0,
    digest text NOT NULL DEFAULT repeat('0', 32),
    at bigint NOT NULL DEFAULT 0,
    last_number bigint NOT NULL DEFAULT 0,
    released_index bigint NOT NULL DEFAULT 0,
    released_number bigint NOT NULL DEFAULT 0,
    longest_lease double precision NOT NULL DEFAULT 0,
    catalogs text[] NOT NULL DEFAULT '{}',
    listed boolean NOT NULL DEFAULT false,
    preferred int NOT NULL DEFAULT 0
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- What became durable together: the entries `first_index` to `last_index`.
CREATE TABLE batches (
    last_index bigint NOT NULL,
    first_index bigint NOT NULL,
    term bigint NOT NULL,
    last_number bigint NOT NULL,
    part int NOT NULL,
    previous text NOT NULL,
    digest text NOT NULL,
    PRIMARY KEY (part, last_index)
);

-- The entries that are orders. `at`: milliseconds since 1970; `price` and `limit_price`: cents.
CREATE TABLE orders (
    number bigint NOT NULL,
    index bigint NOT NULL,
    at bigint NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    price bigint NOT NULL,
    limit_price bigint,
    part int NOT NULL,
    made boolean NOT NULL,
    side text NOT NULL,
    stock text NOT NULL,
    key text NOT NULL,
    PRIMARY KEY (part, number),
    CONSTRAINT orders_key UNIQUE (part, key)
);
CREATE INDEX orders_stock ON orders (part, stock, number);

-- All other entries.
CREATE TABLE events (
    index bigint NOT NULL,
    at bigint NOT NULL,
    part int NOT NULL,
    kind text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (part, index)
);

-- The market data after the last entry.
CREATE TABLE stocks (
    price bigint NOT NULL,
    quantity bigint NOT NULL CHECK (quantity >= 0),
    volume bigint NOT NULL,
    version bigint NOT NULL,
    part int NOT NULL,
    halted boolean NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (part, name)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_scale_factor = 0.2);

-- The stocks that were ever moved: to `part`, by entry `moved` of `before`, as they were there.
CREATE TABLE placements (
    stock text PRIMARY KEY,
    part int NOT NULL,
    moved bigint NOT NULL,
    before int NOT NULL,
    arrived boolean NOT NULL,
    price bigint NOT NULL,
    quantity bigint NOT NULL,
    volume bigint NOT NULL,
    halted boolean NOT NULL,
    former int[] NOT NULL
);

-- Reports: only of orders that clients may see. Amounts are in cents, days in UTC.

CREATE VIEW report_orders AS
    SELECT CASE WHEN b.partitions = 1 THEN o.number ELSE o.number * 1000 + o.part END AS number,
           o.part AS partition, to_timestamp(o.at / 1000.0) AS time, o.stock, o.side, o.quantity,
           o.price, o.limit_price, CASE WHEN o.made THEN NULL ELSE o.key END AS client_order_id
    FROM orders o JOIN partitions p USING (part) CROSS JOIN bazaar b
    WHERE o.number <= p.released_number;

CREATE VIEW daily_volume AS
    SELECT (time AT TIME ZONE 'UTC')::date AS day, stock, count(*) AS orders,
           sum(quantity) AS shares, sum(quantity::numeric * price) AS amount
    FROM report_orders GROUP BY 1, 2;

CREATE VIEW turnover AS
    SELECT stock, count(*) AS orders,
           sum(quantity) FILTER (WHERE side = 'buy') AS bought,
           sum(quantity) FILTER (WHERE side = 'sell') AS sold,
           sum(quantity::numeric * price) AS amount
    FROM report_orders GROUP BY stock;

-- A client is what its keys have before their first colon. Keys without one are of no client.
CREATE VIEW client_positions AS
    SELECT split_part(client_order_id, ':', 1) AS client, stock, count(*) AS orders,
           sum(CASE WHEN side = 'buy' THEN quantity ELSE -quantity END) AS shares,
           sum(CASE WHEN side = 'buy' THEN quantity ELSE -quantity END::numeric * price) AS paid
    FROM report_orders WHERE position(':' IN client_order_id) > 1 GROUP BY 1, 2;

-- Reads reports, and nothing else: GRANT bazaar_reports TO …. Roles are of the whole server, and not
-- every owner of a database may make one.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bazaar_reports') THEN
        CREATE ROLE bazaar_reports NOLOGIN;
    END IF;
    GRANT USAGE ON SCHEMA bazaar TO bazaar_reports;
    GRANT SELECT ON report_orders, daily_volume, turnover, client_positions TO bazaar_reports;
EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
    RAISE NOTICE 'the role bazaar_reports was not made: %', SQLERRM;
END $$;
