// The API key of who looks at the page, where the bazaar asks for one. The browser keeps it for this
// tab, until that is closed; it is sent in a header, never in a URL.

import { at, make, say } from "./dom.js";

const KEPT = "bazaar-api-key";
// RFC 6750. A header can have nothing else, and fetch fails then as if there were no front-end.
const FORM = String.raw`\s*[A-Za-z0-9._~+\/\-]+=*\s*`;

let key = sessionStorage.getItem(KEPT) ?? "";
let isAsking = false;

/** The headers that show the key; none: there is none. */
export const shownKey = () => (key === "" ? {} : { Authorization: `Bearer ${key}` });

/** Whether the page waits for a key: then nothing is asked, as it would be refused. */
export const waitsForKey = () => isAsking;

/** An answer had this status: asks for a key where one is needed, or another is: all that the page
 * shows has to be read. */
export function admitted(status, isRead) {
  const mayNotRead = status === 403 && isRead;
  if ((status !== 401 && !mayNotRead) || isAsking) return;
  isAsking = true;
  const input = make("input", {
    type: "password", name: "key", required: true, autocomplete: "off", spellcheck: false,
    pattern: FORM, title: "An API key has only letters, digits and -._~+/=, without spaces.",
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
  const wrong = mayNotRead ? "This client may not read." : "No client has this API key.";
  const says = key === "" ? "This bazaar asks who you are." : wrong;
  const dialog = at("access");
  say(at("access-says"), says);
  at("access-form-place").replaceChildren(form);
  dialog.showModal();
  // Without a key there is nothing to go back to.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
}
