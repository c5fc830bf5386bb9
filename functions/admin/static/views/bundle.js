// One bundle: made, changed, deleted. Nobody is moved by it: a plan shows who would be.
import { del, get, post, put } from "../api.js";
import { button, drafts, field, fill, h, keyed, mark, once, refused, say } from "../dom.js";
import { groupPicker, membersPicker } from "../grants.js";
import { writeTo } from "../messages.js";
import { namer, picker } from "../rooms.js";
import { when } from "../words.js";

const NEW = "+";
const LEVELS = [["", "as everybody"], ["50", "Moderator (50)"], ["100", "Admin (100)"]];
const EVERY = "*";

export async function show(place, { id, signal }) {
  const path = `/api/bundles/${encodeURIComponent(id)}`;
  const known = id === NEW ? null : await get(path, { signal });
  const names = await namer();
  draw(place, { known, path, names });
}

function draw(place, about) {
  const { known } = about;
  fill(place, h("div", { class: "head" }, h("h1", { tabindex: "-1" }, known ? known.name : "Make a bundle"), known && h("span", { class: "actions" }, h("a", { class: "button", href: writeTo({ bundle: known.id }) }, "Write to them"), h("a", { class: "button", href: `#/plans?bundle=${encodeURIComponent(known.id)}` }, "Plan with it"))),
    form(place, about),
    known && deleting(about),
    known && h("p", { class: "quiet" }, "Changed ", when(known.changed_at), ` by ${known.changed_by}.`),
    h("p", {}, h("a", { href: "#/bundles" }, "All bundles")));
}

function form(place, about) {
  const { known, path, names } = about;
  const draft = `bundle.${known?.id || NEW}`;
  const typed = drafts.find(draft) || {};
  const of = (name, otherwise) => typed[name] ?? known?.[name] ?? otherwise;
  const keep = () => drafts.keep(draft, values());
  const name = h("input", { name: "name", value: of("name", ""), maxlength: 100, required: true, autocomplete: "off", oninput: keep });
  const rooms = picker(of("rooms", []), () => (levels(), keep()));
  const groups = groupPicker(of("groups", []), () => keep(), { legend: "Groups in Authentik that it gives" });
  const forGroups = membersPicker(of("for_groups", []), () => keep(), "Groups whose members are to have it");
  const tick = (what, on) => h("input", { type: "checkbox", name: what, checked: on, onchange: keep });
  const removes = tick("removes", of("removes", false));
  const spaceFirst = tick("space_first", of("space_first", true));
  const power = new Map(Object.entries(of("levels", {})));
  const powers = h("div", {});
  const trouble = h("div", {});
  const send = h("button", { class: "main" }, known ? "Save" : "Make the bundle");
  const keyOf = keyed();

  function level(room, label) {
    const now = power.has(room) ? String(power.get(room)) : "";
    const choices = LEVELS.some(([value]) => value === now) ? LEVELS : [...LEVELS, [now, now]];
    const select = h("select", { onchange: () => (select.value ? power.set(room, Number(select.value)) : power.delete(room), keep()) }, choices.map(([value, words]) => h("option", { value, selected: value === now }, words)));
    return h("label", { class: "level" }, h("span", {}, label), select);
  }

  function levels() {
    const chosen = rooms.value();
    for (const room of power.keys()) if (room !== EVERY && !chosen.includes(room)) power.delete(room);
    fill(powers, chosen.length ? [level(EVERY, "In all of them"), chosen.map((room) => level(room, names(room)))] : h("p", { class: "hint" }, "Choose rooms first."));
  }

  const values = () => ({ name: name.value.trim(), rooms: rooms.value(), groups: groups.value(), for_groups: forGroups.value(), levels: Object.fromEntries(power), removes: removes.checked, space_first: spaceFirst.checked });

  async function save() {
    mark(element);
    const wanted = values();
    if (!wanted.name) return mark(element, [{ field: "name", message: "Give it a name." }]);
    try {
      const saved = known ? await put(path, { ...wanted, revision: known.revision }) : await post("/api/bundles", wanted, { key: keyOf(wanted) });
      drafts.drop(draft);
      if (known) return draw(place, { ...about, known: saved }), say("Saved."), place.querySelector("h1").focus();
      location.hash = `#/bundles/${encodeURIComponent(saved.id)}`;
    } catch (error) {
      const changed = error.status === 409 && known && button("Show it as it is now", async () => draw(place, { ...about, known: await get(path) }));
      refused(element, error, trouble, changed);
    }
    return undefined;
  }

  levels();
  const element = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, save, trouble)) },
    field("Name", name), rooms.element,
    h("div", { class: "field", "data-field": "levels" }, h("p", { class: "label" }, "Power in these rooms"), powers, h("p", { class: "wrong", hidden: true })),
    groups.element, forGroups.element,
    h("label", { class: "tick" }, spaceFirst, h("span", {}, "Where a space lets its members into a room, invite to the space alone")),
    h("label", { class: "tick" }, removes, h("span", {}, "A plan may take those out of its rooms who are not to have it")),
    trouble, h("p", { class: "actions" }, send, h("a", { class: "button", href: "#/bundles" }, "Back")));
  return element;
}

function deleting({ known, path }) {
  const trouble = h("div", {});
  const sure = button("Yes: delete the bundle", () => once(sure, async () => {
    await del(path);
    drafts.drop(`bundle.${known.id}`);
    say("Deleted.");
    location.hash = "#/bundles";
  }, trouble), { class: "danger", hidden: true });
  const first = button("Delete…", () => ((sure.hidden = false), (first.hidden = true), sure.focus()), { class: "danger" });
  return h("details", { class: "box" }, h("summary", {}, "Delete"), h("p", {}, "Nobody loses a room or a group by it. Invites that name it give what else they name."), trouble, h("p", { class: "actions" }, first, sure));
}
