// One trade, until its outcome is known. It has a key, which never has more than one order.

import { read, send, Unreachable } from "./calls.js";

const PAUSE_MS = 500;
// A trade that was on its way when the connection broke is decided within the bazaar's own time
// limit of 5 s, or not at all.
const ON_ITS_WAY_MS = 8000;

/** A key that no other trade has. */
export function freshKey() {
  // randomUUID is not there where the page came over plain HTTP from another machine.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `page-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Sends `trade`, and yields what is known of it, until that is final: `{kind, …}` with
 * `placed` (`number`, `price`, `total`), `refused` or `not-executed` (`message`), `unknown`
 * (`message`; more follows), `unsettled` (no order has the key so far; it may be sent again). */
export async function* settle(trade) {
  let mayArriveUntil = 0;
  try {
    const { status, body } = await send(trade);
    if (status === 200) {
      const { transaction_number: number, price, total } = body.data;
      yield { kind: "placed", number, price, total };
      return;
    }
    const { reason, message } = body.error;
    if (reason !== "outcome_unknown" && reason !== "internal_error") {
      yield { kind: status < 500 ? "refused" : "not-executed", message };
      return;
    }
    yield { kind: "unknown", message: "The outcome is not known yet." };
  } catch (why) {
    if (!(why instanceof Unreachable)) throw why;
    mayArriveUntil = performance.now() + ON_ITS_WAY_MS;
    yield { kind: "unknown", message: "The front-end fell silent before it answered." };
  }
  yield* lookUp(trade.client_order_id, mayArriveUntil);
}

async function* lookUp(key, mayArriveUntil) {
  const answered = mayArriveUntil === 0;
  for (;;) {
    await new Promise((resume) => setTimeout(resume, PAUSE_MS));
    let found = null;
    try {
      found = await read(`orders?client_order_id=${encodeURIComponent(key)}`);
    } catch {
      // The next look may succeed.
    }
    if (found === null) continue;
    if (found.length > 0) {
      const [{ number, price, total }] = found;
      yield { kind: "placed", number, price, total };
      return;
    }
    if (answered) {
      yield { kind: "not-executed", message: "No order has its key, and none will: it was not executed." };
      return;
    }
    if (performance.now() > mayArriveUntil) {
      yield { kind: "unsettled" };
      return;
    }
  }
}
