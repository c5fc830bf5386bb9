// Search, tick, and see what is ticked: one picker for rooms, groups and bundles.
import { fill, h, problem, uid } from "./dom.js";

const SHOWN = 40;

// `load()` answers [{id, name, detail, text, blocked}]: `text` is what is searched beside the name; `blocked` says why it
// cannot be chosen. `nouns`: ["room", "rooms"]. `value()` is the list of ids; what is chosen survives every error.
export function picker({ field, legend, hint = "", nouns, search: placeholder, empty, load, chosen = [], told = () => {} }) {
  const [one, many] = nouns;
  const picked = new Map(chosen.map((id) => [id, id]));
  const id = uid(field);
  const search = h("input", { type: "search", id, name: field, autocomplete: "off", placeholder, oninput: () => draw() });
  const list = h("ul", { class: "picks", "aria-label": `${capital(many)} found` });
  const picks = h("ul", { class: "picked", "aria-label": `${capital(many)} chosen` });
  const count = h("p", { class: "hint", role: "status" });
  let found = [];

  function toggle(key, name, on) {
    if (on) picked.set(key, name);
    else picked.delete(key);
    told();
    chosenOnes();
  }

  function chosenOnes() {
    fill(picks, [...picked].map(([key, name]) =>
      h("li", {}, h("button", { type: "button", "aria-label": `Leave out ${name}`, onclick: () => (toggle(key, name, false), draw(), search.focus()) }, name, " ✕"))));
    picks.hidden = !picked.size;
  }

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = found.filter((each) => words.every((word) => `${each.name} ${each.text || ""}`.toLowerCase().includes(word)));
    fill(list, fits.slice(0, SHOWN).map(row));
    list.hidden = !fits.length;
    const some = `${fits.length.toLocaleString("en")} ${fits.length === 1 ? one : many}`;
    count.textContent = fits.length > SHOWN ? `${some}, the first ${SHOWN} shown: type to search.` : fits.length ? some : found.length ? `No ${one} is called that.` : empty;
  }

  // What is blocked and was chosen before can still be taken away.
  function row(each) {
    const tick = h("input", { type: "checkbox", checked: picked.has(each.id), disabled: Boolean(each.blocked) && !picked.has(each.id),
      onchange: (event) => toggle(each.id, each.name, event.target.checked) });
    return h("li", { class: each.blocked ? "blocked" : null }, h("label", {}, tick, h("span", {}, each.name,
      each.detail && h("span", { class: "quiet" }, ` · ${each.detail}`), each.blocked && h("span", { class: "why" }, each.blocked))));
  }

  async function read() {
    count.textContent = `Reading the ${many}…`;
    try {
      found = await load();
      for (const each of found) if (picked.has(each.id)) picked.set(each.id, each.name);
      chosenOnes();
      draw();
    } catch (error) {
      fill(count, problem(error, read));
    }
  }

  chosenOnes();
  read();
  const element = h("fieldset", { class: "field", "data-field": field }, h("legend", {}, legend),
    hint && h("p", { class: "hint" }, hint), h("label", { for: id, class: "unseen" }, `Search ${many}`), picks, search, list, count, h("p", { class: "wrong", hidden: true }));
  const add = (key, name) => (toggle(key, name, true), draw());
  const drop = (key) => (toggle(key, "", false), draw());
  return { element, value: () => [...picked.keys()], has: (key) => picked.has(key), add, drop };
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// What is read once and wanted by every form: kept for some minutes; a failure is not.
export function keeper(read, milliseconds = 5 * 60_000) {
  let kept = null;
  return () => {
    if (kept && Date.now() - kept.at < milliseconds) return kept.found;
    const found = read();
    kept = { at: Date.now(), found };
    found.catch(() => (kept = null));
    return found;
  };
}
