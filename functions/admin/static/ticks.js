// Ticking things of a list: what is ticked survives filters, errors and a new sign-in, until it was sent.
import { button, drafts, fill, h } from "./dom.js";

// What is ticked, by id, with what it is called. `told` hears of every change.
export function ticked(draft, told = () => {}) {
  const held = new Map(Object.entries(drafts.find(draft) || {}));
  const changed = () => (held.size ? drafts.keep(draft, Object.fromEntries(held)) : drafts.drop(draft), told());
  return {
    has: (id) => held.has(id),
    ids: () => [...held.keys()],
    entries: () => [...held],
    get size() {
      return held.size;
    },
    set: (id, name, on) => (on ? held.set(id, name) : held.delete(id), changed()),
    add: (pairs) => (pairs.forEach(([id, name]) => held.set(id, name)), changed()),
    clear: () => (held.clear(), changed()),
  };
}

// A row with its tick. `kept`: why it cannot be ticked, said in its place.
export function tickRow(picks, id, name, about, kept = "") {
  const box = h("input", { type: "checkbox", checked: picks.has(id) && !kept, disabled: Boolean(kept), onchange: () => picks.set(id, name, box.checked) });
  box.dataset.tick = id;
  return h("li", { class: kept ? "kept" : null }, h("label", { class: "tick" }, box, h("span", {}, h("strong", {}, name), about, kept && h("span", { class: "quiet" }, ` · ${kept}`))));
}

// After what is ticked was changed from elsewhere: the boxes that are drawn follow.
export function retick(list, picks) {
  for (const box of list.querySelectorAll("input[data-tick]")) if (!box.disabled) box.checked = picks.has(box.dataset.tick);
}

// What is chosen so far, and what can be done with it, above the thumb.
export const tray = (...children) => h("div", { class: "tray" }, children);

// Above ten: the number, typed. `count()` is looked at when it is asked.
export function typedCount(count, changed = () => {}) {
  const input = h("input", { name: "typed", inputmode: "numeric", autocomplete: "off", "aria-label": "The number, typed", oninput: () => changed() });
  const words = h("span", {});
  const element = h("label", { class: "typed", hidden: true }, words, input);
  function drawn(what) {
    const many = count();
    element.hidden = many <= 10;
    fill(words, `These are many. Type ${many} to confirm${what ? ` ${what}` : ""}:`);
  }
  return { element, drawn, fits: () => count() <= 10 || input.value.trim() === String(count()), clear: () => (input.value = "") };
}

export const allOrNone = (all, none) => [button("All", all), button("None", none)];
