// The choice of colours: as the system has them, light, or dark. It is kept in localStorage, and
// applied by theme.js when the page is opened again.

/** Lets the radio buttons in `fieldset` choose. Calls `changed` after each change of colours. */
export function offerThemes(fieldset, changed) {
  const root = document.documentElement;
  const chosen = root.dataset.theme ?? "auto";
  for (const input of fieldset.querySelectorAll("input")) input.checked = input.value === chosen;
  fieldset.addEventListener("change", ({ target }) => {
    if (target.value === "auto") delete root.dataset.theme;
    else root.dataset.theme = target.value;
    try {
      localStorage.setItem("theme", target.value);
    } catch {
      // It counts until the page is closed.
    }
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
