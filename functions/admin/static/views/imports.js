// Many at once: a file of members or invites, tried out first; so many invites of one kind; and what was imported before.
import { post } from "../api.js";
import { button, chip, drafts, field, fill, h, keyed, mark, once, refused, say } from "../dom.js";
import { counted, inWords, many, notMade, table } from "../import_table.js";
import { expiryField } from "../invite_form.js";
import { paged } from "../lists.js";
import { picker } from "../rooms.js";
import { plural, when } from "../words.js";

const LARGEST = 1_000_000; // bytes that the API takes
const COLUMNS = {
  users: "first_name (needed), last_name, email, username, groups, rooms, bundles, matrix_id, organization, invited_by…",
  invites: "label (needed), rooms, groups, bundles, email, matrix_id, expires_in_hours, max_uses, note, sponsor…",
};
const DRAFT = "invites.batch";

export async function show(place, { signal }) {
  const imports = paged({ path: () => "/api/imports", row, words, signal });
  fill(place, h("div", { class: "head" }, h("h1", {}, "Imports")),
    h("section", { class: "card" }, h("h2", {}, "Members or invites from a file"), file()),
    h("section", { class: "card" }, h("details", { open: Boolean(drafts.find(DRAFT)) }, h("summary", {}, h("strong", {}, "Many invites for one use each")), batch())),
    h("h2", {}, "Earlier ones"), imports.list, imports.foot);

  await imports.begin();
}

const words = (page, drawn) => (page.total ? `${drawn} of ${plural(page.total, "import")}.` : "Nothing has been imported yet.");

const row = (one) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: `#/imports/${one.id}` }, many(one.kind, one.lines)), notMade(one.counts) > 0 ? chip("waiting", "In part") : chip(one.counts.pending ? "running" : "done")),
    h("p", { class: "quiet" }, inWords(one.counts), " · by ", one.actor, " ", when(one.created_at)));

// ---- from a file: chosen, tried out, made

function file() {
  const kind = h("select", { name: "kind" }, h("option", { value: "users" }, "Members: an account each"), h("option", { value: "invites" }, "Invites"));
  const conflict = h("select", { name: "on_conflict" }, h("option", { value: "stop" }, "Stop at the first of them"), h("option", { value: "skip" }, "Leave such lines out, make the rest"));
  const input = h("input", { type: "file", name: "file", accept: ".csv,.tsv,.txt,text/csv", required: true });
  const trouble = h("div", {});
  const found = h("div", {});
  const send = h("button", { class: "main" }, "Try it out");
  const columns = () => `The first row names the columns: ${COLUMNS[kind.value]} Commas, semicolons or tabs between them.`;
  const chosen = field("The file (CSV, UTF-8)", input, columns());
  const forget = () => (fill(chosen.querySelector(".hint"), columns()), fill(found), fill(trouble));
  const form = h("form", { novalidate: true, onchange: forget, onsubmit: (event) => (event.preventDefault(), once(send, tryOut, trouble)) },
    field("What is in it", kind), chosen,
    field("Lines that cannot be made", conflict, "Somebody who is there already, a group that is not, a field that is wrong."),
    trouble, h("p", { class: "actions" }, send));
  async function tryOut() {
    mark(form);
    const [sheet] = input.files;
    if (!sheet) return mark(form, [{ field: "file", message: "Choose a file first." }]);
    if (sheet.size > LARGEST) return mark(form, [{ field: "file", message: "It is larger than 1 MB: cut it into several." }]);
    const path = `/api/imports?kind=${kind.value}&on_conflict=${conflict.value}`;
    const bytes = new Blob([await sheet.arrayBuffer()]);
    const key = crypto.randomUUID?.() || String(Math.random());
    fill(found, h("p", { class: "quiet", role: "status" }, "Trying it out: nothing is made…"));
    try {
      const { table: tried } = await post(`${path}&dry_run=true`, bytes, { seconds: 120 });
      simulated(tried, () => post(path, bytes, { key, seconds: 120 }));
    } catch (error) {
      fill(found);
      throw error;
    }
    return undefined;
  }

  function simulated({ items, imported }, really) {
    const would = counted(items).would_create || 0;
    const heading = h("h2", { tabindex: "-1" }, `Tried out: of ${many(imported.kind, items.length)}, ${would.toLocaleString("en")} would be made`);
    const wrong = h("div", {});
    const make = button(would === 1 ? "Make this one" : `Make these ${would.toLocaleString("en")}`, () => once(make, async () => {
      const made = await really();
      location.hash = `#/imports/${made.table.imported.id}`;
    }, wrong), { class: "main" });
    fill(found, heading, table(items, imported.kind), wrong,
      would > 0 ? h("p", { class: "actions" }, make) : h("p", {}, "Nothing can be made of it. Mend the file, and choose it again; or leave such lines out."));
    heading.focus();
    say("Tried out. Nothing was made.");
  }

  return [form, found];
}

// ---- so many of one kind

function batch() {
  const draft = drafts.find(DRAFT) || {};
  const keep = () => drafts.keep(DRAFT, { ...values(), ...expiry.choice() });
  const count = h("input", { name: "count", type: "number", min: 1, max: 500, inputmode: "numeric", required: true, value: draft.count ?? 10, oninput: keep });
  const label = h("input", { name: "label", maxlength: 100, required: true, autocomplete: "off", value: draft.label ?? "", placeholder: "Choir {n}", oninput: keep });
  const note = h("input", { name: "note", maxlength: 4000, autocomplete: "off", value: draft.note ?? "", oninput: keep });
  const rooms = picker(draft.rooms || [], keep);
  const expiry = expiryField(draft, null, keep);
  const trouble = h("div", {});
  const send = h("button", { class: "main" }, "Make the invites");
  const keyOf = keyed();
  const values = () => ({ count: Number(count.value), label: label.value.trim(), note: note.value.trim(), rooms: rooms.value(), ...expiry.value() });
  const form = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, make, trouble)) },
    h("div", { class: "two" }, field("How many", count, "At most 500."), field("Label", label, "{n} in it is the number of each.")),
    rooms.element, expiry.element, field("Note", note, "For the admins."), trouble, h("p", { class: "actions" }, send));

  async function make() {
    mark(form);
    const body = values();
    try {
      const made = await post("/api/invites/batch", body, { key: keyOf(body), seconds: 120 });
      drafts.drop(DRAFT);
      location.hash = `#/imports/${made.table.imported.id}`;
    } catch (error) {
      refused(form, error, trouble);
    }
  }
  return form;
}
