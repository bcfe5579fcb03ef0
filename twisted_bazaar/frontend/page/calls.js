// Calls of the front-end's own API.

import { admitted, shownKey, waitsForKey } from "./access.js";

/** No answer came: the front-end does not run, or cannot be reached, or took too long. */
export class Unreachable extends Error {}

const LOOKUP_MS = 5000;
// More than the time limit of the front-end itself, which answers at that.
const TRADE_MS = 8000;

async function call(target, options, milliseconds) {
  // The page is loaded again once there is a key.
  if (waitsForKey()) return new Promise(() => {});
  try {
    const answer = await fetch(target, {
      ...options,
      headers: { ...options.headers, ...shownKey() },
      cache: "no-store",
      signal: AbortSignal.timeout(milliseconds),
    });
    admitted(answer.status, options.method !== "POST");
    const body = await answer.json();
    return { status: answer.status, body };
  } catch (why) {
    throw new Unreachable(String(why));
  }
}

/** The data of a successful GET; null if it was refused. Raises `Unreachable`. */
export async function read(target) {
  const { status, body } = await call(target, {}, LOOKUP_MS);
  return status === 200 ? body.data : null;
}

/** Status and body of the answer to a trade. Raises `Unreachable`. */
export function send(trade) {
  const headers = { "Content-Type": "application/json" };
  const options = { method: "POST", headers, body: JSON.stringify(trade) };
  return call("orders", options, TRADE_MS);
}
