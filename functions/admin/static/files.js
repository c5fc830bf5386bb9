// Files out of the API: a bearer cannot be put into a link, so they are fetched, and then saved.
import { get } from "./api.js";
import { button, h, once, problem, say, fill } from "./dom.js";

const MINUTES = 5;

export async function save(path, name, options = {}) {
  const file = await get(path, { as: "blob", seconds: MINUTES * 60, ...options });
  const link = h("a", { href: URL.createObjectURL(file), download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  say(`${name} is saved.`);
}

// A button that saves what `path()` leads to, and shows beside itself what went wrong.
export function saver(text, path, name, more = {}) {
  const trouble = h("div", {});
  const control = button(text, () => once(control, () => save(path(), name).catch((error) => fill(trouble, problem(error))), trouble), more);
  return [control, trouble];
}
