// Files out of the API: a bearer cannot be put into a link, so they are fetched, and then saved.
import { file } from "./api.js";
import { button, fill, h, once, problem, say } from "./dom.js";

// `told` hears how many bytes have come. Answers how many there were.
export async function save(path, name, told = () => {}, options = {}) {
  const blob = await file(path, told, options);
  const link = h("a", { href: URL.createObjectURL(blob), download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  say(`${name} is saved.`);
  return blob.size;
}

// A button that saves what `path()` leads to, and shows beside itself what went wrong.
export function saver(text, path, name, more = {}) {
  const trouble = h("div", {});
  const control = button(text, () => once(control, () => save(path(), name).catch((error) => fill(trouble, problem(error))), trouble), more);
  return [control, trouble];
}
