// Does something again and again, while somebody looks at the page.

/** Calls `work` now, and `milliseconds` after it has ended each time. While the page is hidden it
 * rests. Returns a function that calls it at once. */
export function repeat(work, milliseconds) {
  let timer = 0;
  let busy = false;
  async function run() {
    clearTimeout(timer);
    if (busy || document.hidden) return;
    busy = true;
    try {
      await work();
    } finally {
      busy = false;
      timer = setTimeout(run, milliseconds);
    }
  }
  document.addEventListener("visibilitychange", run);
  run();
  return run;
}
