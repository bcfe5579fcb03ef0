"""The statements that the log in PostgreSQL is made of: see `postgres`. Pure."""

from twisted_bazaar.selection import Selection

from . import rows
from .shared_log import HANDED_OVER
from .statement import Statement

__all__ = [
    "APPEND",
    "APPEND_ORDERS",
    "BATCHES",
    "BEAT",
    "BEGIN",
    "BY_NUMBER",
    "CLAIM",
    "FIND",
    "LAST_BEFORE",
    "NAME",
    "PLACEMENTS",
    "PREFER",
    "READ_EVENTS",
    "READ_ORDERS",
    "SETTLE",
    "SNAPSHOT",
    "TAIL",
    "TAILS",
    "orders",
]

BEGIN = (
    "SET statement_timeout = 0",
    """SET search_path = bazaar;
SELECT set_config(name, wanted, false) FROM pg_settings JOIN (VALUES
    ('client_connection_check_interval', '500ms'), ('enable_seqscan', 'off'), ('jit', 'off'),
    ('default_transaction_isolation', 'read committed'), ('idle_session_timeout', '0'),
    ('lock_timeout', '0'), ('plan_cache_mode', 'force_generic_plan'), ('transaction_timeout', '0'))
    AS settings (name, wanted) USING (name);
SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');""",
)
"""What each connection begins with, whatever the database or role has. A timeout of the server's
would be one more reason for `Unknown`. Each table is read by its keys from the first order on: a
plan is kept, and a scan that is quick on a new table is not so on a long one. A commit is on more
than one disk."""

NAME = "SELECT name FROM bazaar"
"""Of the bazaar that the database holds."""
_TOLD = """released_index = greatest(released_index, {released_index}::bigint),
    released_number = greatest(released_number, {released_number}::bigint)"""
_BATCH = """INSERT INTO batches (part, first_index, last_index, term, beat, at, last_number,
    released_index, released_number, previous, digest)
  SELECT {part}::int, {first_index}::bigint, {last_index}::bigint, {term}::bigint, {beat}::bigint,
    {at}::bigint, {last_number}::bigint, {released_index}::bigint, {released_number}::bigint,
    {previous}::text, {digest}::text"""
_FOLLOWS = """coalesce((SELECT digest FROM batches
    WHERE part = {part}::int AND first_index < {first_index}::bigint
    ORDER BY first_index DESC LIMIT 1), repeat('0', 32)) = {previous}::text"""
"""The batch before is the right one. It never changes, once it is there."""
_EVENTS = """others AS (
  INSERT INTO events (part, index, at, kind, body)
  SELECT part, each.* FROM fence, unnest({event_index}::bigint[], {event_at}::bigint[],
    {event_kind}::text[], {event_body}::text[]) AS each)"""
_ORDERS = """traded AS (
  INSERT INTO orders (part, number, index, at, quantity, price, limit_price, made, side, stock, key)
  SELECT part, each.* FROM fence, unnest({number}::bigint[], {index}::bigint[], {time}::bigint[],
    {quantity}::bigint[], {price}::bigint[], {limit_price}::bigint[], {made}::boolean[],
    {side}::text[], {stock}::text[], {key}::text[]) AS each)"""
_STOCKS = """touched AS (
  INSERT INTO stocks (part, name, price, quantity, volume, version, halted)
  SELECT part, each.* FROM fence, unnest({name}::text[], {stock_price}::bigint[],
    {stock_quantity}::bigint[], {volume}::bigint[], {version}::bigint[], {halted}::boolean[])
    AS each
  ON CONFLICT (part, name) DO UPDATE SET price = excluded.price, quantity = excluded.quantity,
    volume = excluded.volume, version = excluded.version, halted = excluded.halted)"""
_CHANGED = """changed AS (
  UPDATE partitions SET stocks_index = {last_index}::bigint, listed = listed OR {listed}::boolean
  FROM fence WHERE partitions.part = fence.part)"""
_MOVES = """departed AS (
  DELETE FROM stocks USING fence WHERE stocks.part = fence.part AND name = ANY ({gone}::text[])),
arrived AS (
  UPDATE placements SET arrived = true FROM fence WHERE stock = ANY ({arrived}::text[])),
placed AS (
  INSERT INTO placements AS known
    (before, former, arrived, stock, part, moved, price, quantity, volume, halted)
  SELECT part, ARRAY[part], false, each.* FROM fence, unnest({gone}::text[], {gone_to}::int[],
    {gone_moved}::bigint[], {gone_price}::bigint[], {gone_quantity}::bigint[],
    {gone_volume}::bigint[], {gone_halted}::boolean[]) AS each
  ON CONFLICT (stock) DO UPDATE SET before = excluded.before, arrived = false,
    former = known.former || excluded.before, part = excluded.part, moved = excluded.moved,
    price = excluded.price, quantity = excluded.quantity, volume = excluded.volume,
    halted = excluded.halted)"""
_LEADS = """part = {part}::int AND term = {term}::bigint AND beat >= 0 AND beat < {beat}::bigint"""
_ADOPTS = """ AND NOT EXISTS (
    SELECT FROM unnest({adopted}::text[], {adopted_before}::int[], {adopted_moved}::bigint[])
      AS event (stock, before, moved)
    WHERE NOT EXISTS (SELECT FROM placements p WHERE p.stock = event.stock AND NOT p.arrived
      AND (p.part, p.before, p.moved) = ({part}::int, event.before, event.moved)))"""
_TAKEN = """
  ON CONFLICT DO NOTHING RETURNING part)"""
_DONE = "SELECT count(*) FROM fence"

APPEND_ORDERS = Statement(
    "append_orders",
    f"""WITH fence AS (
  {_BATCH}
  WHERE EXISTS (SELECT FROM partitions WHERE {_LEADS}) AND {_FOLLOWS}{_TAKEN},
{_ORDERS} {_DONE}""",
)
APPEND = Statement(
    "append",
    f"""WITH fence AS (
  {_BATCH}
  FROM (SELECT FROM partitions WHERE {_LEADS} FOR NO KEY UPDATE) AS held
  WHERE {_FOLLOWS}{_ADOPTS}{_TAKEN},
{_ORDERS}, {_STOCKS}, {_CHANGED}, {_EVENTS}, {_MOVES} {_DONE}""",
)
"""The row is locked before the place is taken, as a claim does it: else each might wait for the
other."""
CLAIM = Statement(
    "claim",
    f"""WITH held AS (
  UPDATE partitions SET term = {{term}}::bigint, beat = 0, leader = {{leader}}::int,
    tenure = {{tenure}}::double precision,
    longest_lease = {{longest_lease}}::double precision, catalogs = {{catalogs}}::text[]
  WHERE part = {{part}}::int AND term = {{seen_term}}::bigint AND beat <= {{seen_beat}}::bigint
    AND (beat < 0) = ({{seen_beat}}::bigint < 0) AND EXISTS (SELECT FROM tails
      WHERE part = {{part}}::int AND beat = {{seen_beat}}::bigint AND digest = {{previous}}::text)
  RETURNING 1),
fence AS (
  {_BATCH} FROM held RETURNING part),
{_EVENTS} {_DONE}""",
)
"""The tail as the statement found it is the one that was seen. If it was changed meanwhile, the row
has another term or a higher beat, or the place of the batch is taken."""
SETTLE = Statement(
    "settle",
    f"""WITH fence AS (
  UPDATE partitions SET beat = greatest(beat, {{beat}}::bigint), {_TOLD}
  WHERE part = {{part}}::int AND term = {{term}}::bigint AND beat >= 0 AND EXISTS (
    SELECT FROM batches WHERE part = {{part}}::int AND first_index = {{first_index}}::bigint
      AND digest = {{digest}}::text)
  RETURNING part)
{_DONE}""",
)
BEAT = Statement(
    "beat",
    f"""WITH fence AS (
  UPDATE partitions SET beat = {{beat}}::bigint, {_TOLD}
  WHERE part = {{part}}::int AND term = {{term}}::bigint
    AND ({{beat}}::bigint = {HANDED_OVER} OR beat BETWEEN 0 AND {{beat}}::bigint)
  RETURNING part)
{_DONE}""",
)
PREFER = Statement(
    "prefer", "UPDATE partitions SET preferred = {member}::int WHERE part = {part}::int"
)

TAILS = Statement("tails", f"SELECT {rows.TAIL} FROM tails t ORDER BY part")
TAIL = Statement("tail", f"SELECT {rows.TAIL} FROM tails t WHERE part = {{part}}::int")
PLACEMENTS = Statement("placements", f"SELECT {rows.PLACEMENT} FROM placements ORDER BY stock")
SNAPSHOT = Statement(
    "snapshot",
    f"""SELECT {rows.STOCK}, to_json(held.former), {rows.TAIL},
  (SELECT json_agg(stock) FROM placements
    WHERE (part <> t.part OR NOT arrived) AND t.part = ANY (former)),
  t.stocks_index
FROM tails t LEFT JOIN stocks s USING (part)
  LEFT JOIN placements held ON held.stock = s.name AND held.part = s.part AND held.arrived
WHERE t.part = {{part}}::int""",
)
FIND = Statement(
    "find",
    f"""SELECT t.index, t.digest, o.part, {rows.ORDER}
FROM tails t LEFT JOIN (unnest({{parts}}::int[]) AS searched (part)
  CROSS JOIN unnest({{keys}}::text[]) AS wanted (key)
  CROSS JOIN LATERAL (SELECT * FROM orders
    WHERE orders.part = searched.part AND orders.key = wanted.key OFFSET 0) AS o) ON true
WHERE t.part = {{part}}::int""",
)
"""OFFSET keeps PostgreSQL from joining otherwise: planned while the table is empty, it would read
all orders of the partition for each batch, until the table is analyzed."""
BY_NUMBER = Statement(
    "order",
    f"""SELECT {rows.ORDER} FROM tails t JOIN orders o USING (part)
WHERE part = {{part}}::int AND o.number = {{number}}::bigint AND o.number <= t.released_number""",
)
LAST_BEFORE = Statement(
    "last_before",
    """WITH RECURSIVE halves (low, high) AS (
  SELECT {low}::bigint, {high}::bigint
  UNION ALL
  SELECT CASE WHEN o.at < {time}::bigint THEN o.number ELSE low END,
    CASE WHEN o.at < {time}::bigint THEN high ELSE o.number - 1 END
  FROM halves JOIN orders o ON o.part = {part}::int AND o.number = (low + high + 1) / 2
  WHERE low < high)
SELECT max(low) FROM halves""",
)
"""The last order in a range of numbers that is earlier than a time: times never go back."""
BATCHES = Statement(
    "batches",
    """SELECT first_index, last_index, term, last_number, previous, digest FROM batches
WHERE part = {part}::int
  AND first_index >= coalesce((SELECT max(first_index) FROM batches
    WHERE part = {part}::int AND last_index <= {after}::bigint
      AND first_index <= {after}::bigint), 0)
  AND first_index <= {upto}::bigint
ORDER BY first_index""",
)
"""Those that hold the entries of a range, and the one before them."""
READ_ORDERS = Statement(
    "read_orders",
    f"""SELECT o.index, {rows.ORDER} FROM orders o WHERE part = {{part}}::int
  AND number > {{after}}::bigint AND number <= {{upto}}::bigint ORDER BY number""",
)
READ_EVENTS = Statement(
    "read_events",
    """SELECT index, at, body FROM events WHERE part = {part}::int
  AND index >= {first}::bigint AND index <= {last}::bigint ORDER BY index""",
)


def orders(selection: Selection) -> Statement:
    """The first orders of `selection` in a range of numbers. It is not prepared."""
    conditions = ["part = {part}::int", "number > {low}::bigint", "number <= {high}::bigint"]
    for column, wanted in (
        ("stock", selection.stock), ("side", selection.side), ("key", selection.key)
    ):  # fmt: skip
        if wanted:
            conditions.append(f"{column} = {{{column}}}::text")
    if selection.client:
        # As the index has it, or it is not used.
        conditions.append("position(chr(31) IN key) > 0")
        conditions.append("split_part(key, chr(31), 1) = {client}::text")
    direction = "DESC" if selection.descending else "ASC"
    return Statement(
        "",
        f"""SELECT {rows.ORDER} FROM orders o WHERE {" AND ".join(conditions)}
          ORDER BY number {direction} LIMIT {{limit}}::bigint""",
    )
