// Applies the colours that were chosen, before anything is drawn. Loaded as a classic script, as
// modules run too late for that.
"use strict";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is forbidden here: the system's colours are right.
}
