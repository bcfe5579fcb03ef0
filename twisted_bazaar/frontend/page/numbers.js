// How numbers, prices and times are written. Money is counted in whole cents, never in fractions.

const grouped = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const GROUPED_DIGITS = 9;

/** A count. Very large ones are shortened: 9e15 is 9,007T. */
export const count = (number) =>
  String(Math.trunc(number)).length > GROUPED_DIGITS ? compact.format(number) : grouped.format(number);

/** A price from JSON, with its two decimals. */
export const price = (value) =>
  value === null || value === undefined ? "–" : money(cents(value));

/** What `quantity` shares cost at `value` each, exactly. */
export const total = (value, quantity) => money(cents(value) * BigInt(quantity));

const cents = (value) => BigInt(Math.round(value * 100));

function money(amount) {
  const rest = String(amount % 100n).padStart(2, "0");
  return `${grouped.format(amount / 100n)}.${rest}`;
}

/** "1 share", "2 shares". */
export const shares = (number) => `${count(number)} ${number === 1 ? "share" : "shares"}`;

/** A rate, as "0.4", "12" or "3,120". */
export const rate = (value) =>
  value > 0 && value < 9.95 ? value.toFixed(1).replace(/\.0$/, "") : grouped.format(Math.round(value));

/** A duration in seconds, as "0.4 ms", "12 ms" or "1.3 s". */
export function duration(seconds) {
  if (seconds >= 0.9995) return `${seconds.toFixed(1)} s`;
  const ms = seconds * 1000;
  if (ms === 0) return "0 ms";
  return ms < 9.95 ? `${ms.toFixed(ms < 0.995 ? 2 : 1)} ms` : `${Math.round(ms)} ms`;
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

/** The time of day of a Date, to the second. */
export const timeOfDay = (date) => clock.format(date);
