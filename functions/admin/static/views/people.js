// Everybody with an account: found as somebody types, on the server, a page at a time.
import { bulkPanel } from "../bulk.js";
import { button, chip, field, fill, h, later, once, uid } from "../dom.js";
import { save } from "../files.js";
import { chooser, paged } from "../lists.js";
import { writeTo } from "../messages.js";
import { plural, when } from "../words.js";

const ACTIVE = [["", "Everybody"], ["true", "Active"], ["false", "Deactivated"]];
const KIND = "users"; // of the exports

export async function show(place, { query, signal }) {
  const wanted = { q: query.get("q") || "", active: query.get("active") || "", group: query.get("group") || "" };
  const seen = new Set();
  let total = 0;
  let panel = null;

  const asked = (more = {}) => new URLSearchParams(Object.entries({ ...wanted, ...more }).filter(([, value]) => value)).toString();
  const address = (more) => `#/people${asked(more) && `?${asked(more)}`}`;
  const filtered = () => ({ q: wanted.q, active: wanted.active ? wanted.active === "true" : null, group: wanted.group });

  const soon = later(() => signal.aborted || change({ q: search.value.trim(), group: group.value.trim() }));
  const names = h("datalist", { id: uid("groups") });
  const search = h("input", { type: "search", name: "q", maxlength: 200, autocomplete: "off", placeholder: "Name, username, e-mail or Matrix id", value: wanted.q, oninput: soon });
  const group = h("input", { name: "group", maxlength: 200, autocomplete: "off", list: names.id, placeholder: "any group", value: wanted.group, oninput: soon });
  const states = chooser("By account", ACTIVE, wanted.active, (each) => address({ active: each }), (each) => change({ active: each }));
  const people = paged({ path: () => `/api/users?${asked()}`, row, words, came, signal });
  const trouble = h("div", {});
  const below = h("div", { hidden: true });
  const many = button("Act on all", () => shown(below.hidden), { "aria-expanded": "false" });
  const csv = button("Download as CSV", () => once(csv, download, trouble));
  const write = h("a", { class: "button" }, "Write to them");
  const acts = h("div", { class: "actions acts" }, many, write, csv);
  const found = h("p", { class: "quiet found", role: "status" }, "Looking…");
  const grouped = h("summary", {});

  // Made when it is first wanted: it reads the rooms.
  function shown(open) {
    panel ??= bulkPanel({ filter: filtered, total: () => total, groups: names.id, close: () => shown(false) });
    fill(below, panel.element);
    below.hidden = !open;
    many.setAttribute("aria-expanded", String(open));
    if (open) panel.focus();
    else many.focus();
  }

  // The address says what is looked for: whoever goes on and comes back finds it again.
  function change(more) {
    Object.assign(wanted, more);
    history.replaceState(null, "", address());
    filters();
    panel?.anew();
    people.begin();
  }

  function filters() {
    states.choose(wanted.active);
    states.links.forEach((link) => link.setAttribute("href", address({ active: link.dataset.value })));
    write.setAttribute("href", writeTo({ to: "users", ...wanted }));
    grouped.textContent = wanted.group ? `Only the group ${wanted.group}` : "Only a group…";
  }

  function came(page) {
    total = page?.total ?? 0;
    for (const control of [many, csv]) control.disabled = !total;
    if (!page) return fill(found);
    page.items.flatMap((one) => one.groups).forEach((name) => seen.add(name));
    fill(names, [...seen].sort().slice(0, 200).map((name) => h("option", { value: name })));
    const looking = Boolean(wanted.q || wanted.active || wanted.group);
    fill(found, `${plural(total, "person", "people")}${looking ? " found" : ""}, as of `, when(page.synced_at), ".");
    panel?.anew();
    return undefined;
  }

  function words(page, drawn) {
    if (page.total) return `${drawn.toLocaleString("en")} of ${plural(page.total, "person", "people")}.`;
    if (wanted.q || wanted.active || wanted.group) return "Nobody is found by that. Try fewer letters, or Everybody.";
    return "Nobody has an account yet. Make an invite, or create a user.";
  }

  async function download() {
    const size = h("p", { class: "quiet", role: "status" }, "Fetching the file…");
    fill(trouble, size);
    const name = `people-${new Date().toISOString().slice(0, 10)}.csv`;
    const told = (bytes) => (size.textContent = `${kilobytes(bytes)} so far…`);
    const bytes = await save(`/api/export/${KIND}.csv?${asked()}`, name, told, { signal });
    fill(size, `Downloaded ${name}, ${kilobytes(bytes)}.`);
  }

  filters();
  fill(place, h("div", { class: "head" }, h("h1", {}, "People"), h("a", { class: "button main", href: "#/people/new" }, "Create a user")),
    field("Search people", search), states.element,
    h("details", { open: Boolean(wanted.group) }, grouped, field("In the group", group), names),
    h("div", { class: "head" }, found, h("a", { href: "#/onboardings" }, "Members on their way")), acts, trouble, below, people.list, people.foot);
  await people.begin();
}

const kilobytes = (bytes) => (bytes < 1_000_000 ? `${Math.ceil(bytes / 1000)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`);

const row = (one) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: `#/people/${one.pk}` }, one.name || one.username), !one.active && chip("expired", "Deactivated")),
    h("p", { class: "quiet" }, [one.username, one.matrix_id, one.email].filter(Boolean).join(" · ")));
