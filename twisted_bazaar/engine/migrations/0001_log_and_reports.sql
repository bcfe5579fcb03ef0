-- A bazaar's order log: everything in the schema `bazaar`. The keys of what belongs to a partition
-- begin with `part`, so that an engine that spreads rows over machines can keep them together.

CREATE TABLE bazaar (
    name text NOT NULL,
    partitions int NOT NULL,
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);

-- Who leads each partition. A reader with an old snapshot, such as a long report, keeps all versions
-- of a row, and each update passes them: so a batch of orders updates nothing.
CREATE TABLE partitions (
    part int PRIMARY KEY,
    term bigint NOT NULL DEFAULT 0,
    beat bigint NOT NULL DEFAULT 0,
    leader int NOT NULL DEFAULT 0,
    released_index bigint NOT NULL DEFAULT 0,
    released_number bigint NOT NULL DEFAULT 0,
    stocks_index bigint NOT NULL DEFAULT 0,
    tenure double precision NOT NULL DEFAULT 0,
    longest_lease double precision NOT NULL DEFAULT 0,
    catalogs text[] NOT NULL DEFAULT '{}',
    listed boolean NOT NULL DEFAULT false,
    preferred int NOT NULL DEFAULT 0
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- What became durable together: the entries `first_index` to `last_index`. Two leaders that follow
-- the same entry have batches with the same key.
CREATE TABLE batches (
    first_index bigint NOT NULL,
    last_index bigint NOT NULL,
    term bigint NOT NULL,
    beat bigint NOT NULL,
    at bigint NOT NULL,
    last_number bigint NOT NULL,
    released_index bigint NOT NULL,
    released_number bigint NOT NULL,
    part int NOT NULL,
    previous text NOT NULL,
    digest text NOT NULL,
    PRIMARY KEY (part, first_index)
);

-- The end of each partition's log. A leader's beat is in its last batch, or later in `partitions`.
CREATE VIEW tails AS
    SELECT p.part, p.term,
           CASE WHEN p.beat < 0 THEN p.beat ELSE greatest(p.beat, b.beat) END AS beat,
           p.leader, coalesce(b.last_index, 0) AS index,
           coalesce(b.digest, repeat('0', 32)) AS digest, coalesce(b.at, 0) AS at,
           coalesce(b.last_number, 0) AS last_number,
           greatest(p.released_index, b.released_index) AS released_index,
           greatest(p.released_number, b.released_number) AS released_number,
           p.tenure, p.longest_lease, p.catalogs, p.listed, p.preferred, p.stocks_index
    FROM partitions p LEFT JOIN LATERAL (
        SELECT * FROM batches WHERE batches.part = p.part ORDER BY first_index DESC LIMIT 1
    ) b ON true;

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

-- The market data after entry `stocks_index`. What came later are orders.
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
    FROM orders o JOIN tails p USING (part) CROSS JOIN bazaar b
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
