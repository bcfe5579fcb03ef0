// Calls of the front-end's own API.

/** No answer came: the front-end does not run, or cannot be reached, or took too long. */
export class Unreachable extends Error {}

const LOOKUP_MS = 5000;
// More than the time limit of the front-end itself, which answers at that.
const TRADE_MS = 8000;

async function call(target, options, milliseconds) {
  try {
    const answer = await fetch(target, {
      ...options,
      cache: "no-store",
      signal: AbortSignal.timeout(milliseconds),
    });
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
