// Whom to invite: found by name, or pasted as Matrix ids. What is chosen stays through errors.
import { get } from "./api.js";
import { button, field, fill, h, later, problem, uid } from "./dom.js";
import { plural } from "./words.js";

const SHOWN = 12;
const ID = /@[^\s:,;<>()"']+:[A-Za-z0-9.-]+(:\d+)?/g;

// `domain`: of the Matrix id of an account that names none itself. `picks`: see ticks.js.
export function peoplePicker({ picks, domain, signal }) {
  const search = h("input", { type: "search", id: uid("people"), autocomplete: "off", placeholder: "Search by name, username or e-mail", oninput: later(find) });
  const list = h("ul", { class: "picks", "aria-label": "People found", hidden: true });
  const count = h("p", { class: "hint", role: "status" }, "Type a name.");
  const chosen = h("ul", { class: "picked", "aria-label": "People chosen" });
  const pasted = h("textarea", { name: "pasted", rows: 2, placeholder: "@ada:example.org, one a line or with commas" });
  const told = h("p", { class: "hint", role: "status" });
  let run = 0;

  const idOf = (user) => user.matrix_id || `@${user.username}:${domain}`;

  async function find() {
    const [words, mine] = [search.value.trim(), ++run];
    if (!words) return fill(list), (list.hidden = true), fill(count, "Type a name.");
    try {
      const found = await get(`/api/users?${new URLSearchParams({ q: words, active: "true", limit: String(SHOWN) })}`, { signal });
      if (mine !== run) return undefined;
      fill(list, found.items.map((user) => {
        const box = h("input", { type: "checkbox", checked: picks.has(idOf(user)), onchange: () => picks.set(idOf(user), user.name || user.username, box.checked) });
        box.dataset.tick = idOf(user);
        return h("li", {}, h("label", {}, box, h("span", {}, user.name || user.username, h("span", { class: "quiet" }, ` · ${idOf(user)}`))));
      }));
      list.hidden = !found.items.length;
      return fill(count, found.total > SHOWN ? `${plural(found.total, "person", "people")}, the first ${SHOWN} shown: type more.` : found.total ? plural(found.total, "person", "people") : "Nobody is called that.");
    } catch (error) {
      if (mine === run && !signal.aborted) fill(count, problem(error, find));
      return undefined;
    }
  }

  // Every Matrix id in what was pasted; the rest stays to be looked at.
  function take() {
    const found = [...new Set(pasted.value.match(ID) || [])];
    const rest = pasted.value.replace(ID, " ").replace(/[\s,;<>()"']+/g, " ").trim();
    if (found.length) picks.add(found.map((id) => [id, id]));
    pasted.value = rest;
    fill(told, `${plural(found.length, "Matrix id")} taken${rest ? "; what is left was not understood. A Matrix id looks like @ada:example.org." : "."}`);
  }

  // To be called when `picks` has changed.
  function drawn() {
    fill(chosen, picks.entries().map(([id, name]) => h("li", {}, button([name, " ✕"], () => (picks.set(id, name, false), search.focus()), { "aria-label": `Leave out ${name}` }))));
    chosen.hidden = !picks.size;
    for (const box of list.querySelectorAll("input")) box.checked = picks.has(box.dataset.tick);
  }

  drawn();
  const element = h("div", {}, h("div", { class: "field" }, h("label", { for: search.id }, "Who"), chosen, search, list, count),
    field("Or Matrix ids", pasted, ""), h("p", { class: "actions" }, button("Take these", take)), told);
  return { element, drawn };
}
