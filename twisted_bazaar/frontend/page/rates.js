// What two answers of `/status` differ by: rates, and percentiles of what was answered between
// them. It knows no page.

/** What happened between `older` and `newer`, two answers' `figures`; null where the front-end was
 * restarted between them. */
export function between(older, newer) {
  const seconds = newer.uptime_seconds - older.uptime_seconds;
  if (seconds <= 0) return null;
  const { bounds } = newer.seconds;
  const trades = differences(older.seconds.trade, newer.seconds.trade);
  const lookups = differences(older.seconds.lookup, newer.seconds.lookup);
  const hit = newer.lookups.hit - older.lookups.hit;
  const asked = hit + newer.lookups.miss - older.lookups.miss + newer.lookups.off - older.lookups.off;
  return {
    trades: sum(trades) / seconds,
    lookups: sum(lookups) / seconds,
    tradeSeconds: [0.5, 0.99].map((share) => percentile(bounds, trades, share)),
    lookupSeconds: [0.5, 0.99].map((share) => percentile(bounds, lookups, share)),
    hitRate: asked > 0 ? hit / asked : null,
  };
}

/** The value that `share` of those in a histogram do not exceed; null if it is empty. `counts` has
 * one more than `bounds`: those above the last. Within a bucket values count as spread evenly. */
export function percentile(bounds, counts, share) {
  const all = sum(counts);
  if (all === 0) return null;
  const wanted = share * all;
  let below = 0;
  for (let bucket = 0; bucket < bounds.length; bucket += 1) {
    if (below + counts[bucket] >= wanted && counts[bucket] > 0) {
      const low = bucket === 0 ? 0 : bounds[bucket - 1];
      return low + ((bounds[bucket] - low) * (wanted - below)) / counts[bucket];
    }
    below += counts[bucket];
  }
  return bounds.at(-1);
}

const sum = (numbers) => numbers.reduce((all, each) => all + each, 0);
const differences = (older, newer) => newer.map((value, index) => value - older[index]);
