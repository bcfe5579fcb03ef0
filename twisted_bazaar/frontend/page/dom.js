// Makes and changes elements. Text is always text: nothing here parses HTML.

/** A new element with these properties and children. `dataset` and `attributes` are merged. */
export function make(tag, { dataset = {}, attributes = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, dataset);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Sets the text of `element`. What has not changed is left alone, also for screen readers. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** Whether the reader asks for less motion. */
export const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
