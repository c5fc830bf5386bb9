// A list that comes page by page: never more of it is drawn than somebody has asked for.
import { get } from "./api.js";
import { button, fill, h, problem } from "./dom.js";

// `path()` without limit and cursor; `row(item)` an element; `words(page, drawn)` what is said below. `begin()` starts it
// anew, and drops what an earlier beginning still answers; it tells `came(page)` of each page.
export function paged({ path, row, words, came = () => {}, limit = 50, signal }) {
  const list = h("ul", { class: "list" });
  const foot = h("div", { class: "actions", role: "status" });
  let asked = null;

  async function begin() {
    asked?.abort();
    asked = new AbortController();
    list.setAttribute("aria-busy", "true");
    await more("", asked.signal);
  }

  async function more(cursor, mine) {
    try {
      const page = await get(`${limited(path(), limit)}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`, { signal: AbortSignal.any([signal, mine]) });
      if (mine.aborted || signal.aborted) return;
      if (!cursor) fill(list);
      const drawn = page.items.map(row);
      list.append(...drawn);
      came(page);
      fill(foot, h("p", { class: "quiet" }, words(page, list.children.length)), page.next_cursor && button("Show more", (event) => {
        event.target.disabled = true;
        more(page.next_cursor, mine);
      }));
      if (cursor) drawn[0]?.querySelector("a, button")?.focus();
    } catch (error) {
      if (mine.aborted || signal.aborted) return;
      fill(foot, problem(error, () => more(cursor, mine)));
      if (!cursor) came(null, error);
    } finally {
      if (!mine.aborted) list.removeAttribute("aria-busy");
    }
  }

  return { list, foot, begin };
}

const limited = (path, limit) => `${path}${path.includes("?") ? "&" : "?"}limit=${limit}`;

// How many there are of each, written beside the chips of `element`, in their order.
export async function counted(element, paths, signal) {
  const pages = await Promise.all(paths.map((path) => get(limited(path, 1), { signal })));
  for (const [at, page] of pages.entries()) element.querySelectorAll(".count")[at].textContent = page.total.toLocaleString("en");
}

// Chips that choose: real links, so that each has an address of its own; `chosen(value)` is told instead of leaving.
export function chooser(label, choices, value, href, chosen) {
  const links = choices.map(([each, text]) => h("a", { href: href(each), "data-value": each, onclick: (event) => {
    if (!chosen || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    chosen(each);
  } }, text, h("span", { class: "count" })));
  const choose = (now) => links.forEach((link) => (link.dataset.value === now ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
  choose(value);
  return { element: h("ul", { class: "filters", "aria-label": label }, links.map((link) => h("li", {}, link))), links, choose };
}
