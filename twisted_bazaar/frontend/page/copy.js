// Copies a text, with the clipboard's own call or, where the page came over plain HTTP from another
// machine, by selecting it.

const TOLD_MS = 1500;

/** Lets `button` copy the text of `source`. */
export function offerCopy(button, source) {
  const title = button.textContent;
  button.addEventListener("click", async () => {
    let copied = true;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      getSelection().selectAllChildren(source);
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "Copied" : "Press Ctrl-C";
    setTimeout(() => (button.textContent = title), TOLD_MS);
  });
}
