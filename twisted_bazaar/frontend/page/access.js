// The API key of who looks at the page, where the bazaar asks for one. The browser keeps it for this
// tab, until that is closed; it is sent in a header, never in a URL.

import { at, make, say } from "./dom.js";

const KEPT = "bazaar-api-key";

let key = sessionStorage.getItem(KEPT) ?? "";
let isAsking = false;

/** The headers that show the key; none: there is none. */
export const shownKey = () => (key === "" ? {} : { Authorization: `Bearer ${key}` });

/** Whether the page waits for a key: then nothing is asked, as it would be refused. */
export const waitsForKey = () => isAsking;

/** An answer had this status: asks for a key where one is needed. */
export function admitted(status) {
  if (status !== 401 || isAsking) return;
  isAsking = true;
  const input = make("input", {
    type: "password", name: "key", required: true, autocomplete: "off", spellcheck: false,
  });
  const send = make("button", { type: "submit", className: "main" }, "Go on");
  const label = make("label", { className: "field" }, "API key ", input);
  const form = make("form", { id: "access-form" }, label, send);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    key = input.value.trim();
    sessionStorage.setItem(KEPT, key);
    // All that the page shows begins anew, as this client.
    location.reload();
  });
  const says = key === "" ? "This bazaar asks who you are." : "No client has this API key.";
  const dialog = at("access");
  say(at("access-says"), says);
  at("access-form-place").replaceChildren(form);
  dialog.showModal();
  // Without a key there is nothing to go back to.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
}
