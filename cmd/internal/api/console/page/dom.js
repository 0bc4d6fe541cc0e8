// Small helpers for the page. Text from the device is only ever text.

export function element(name, { text, ...attributes } = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== false) e.setAttribute(key, value);
  if (text !== undefined) e.textContent = text;
  e.append(...children);
  return e;
}

// say changes text only when it differs, so that selections and screen readers
// are not disturbed every second.
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// fill replaces children only when key has changed since the last time.
export function fill(e, key, make) {
  const text = JSON.stringify(key);
  if (e.dataset.key === text) return;
  e.dataset.key = text;
  e.replaceChildren(...make());
}
