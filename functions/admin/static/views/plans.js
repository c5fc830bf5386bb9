// Plans: what would change so that everybody is where their bundles say. Making one changes nothing.
import { all, post } from "../api.js";
import { chip, drafts, field, fill, h, keyed, once, problem } from "../dom.js";
import { paged } from "../lists.js";
import { inWords, STATES, summary } from "../planning.js";
import { plural, when } from "../words.js";

const DRAFT = "plan";
const LONG = 120; // seconds: everybody is looked at

export async function show(place, { query, signal }) {
  const plans = paged({ path: () => "/api/plans", row, words, signal });
  fill(place, h("div", { class: "head" }, h("h1", {}, "Plans")),
    h("p", { class: "quiet" }, "A plan compares who is where with what the ", h("a", { href: "#/bundles" }, "bundles"), " say. Look at it, tick what is right, then let it be done. It can be undone for a week."),
    making(query.get("bundle"), signal), h("h2", {}, "Plans so far"), plans.list, plans.foot);

  await plans.begin();
}

const words = (page, drawn) => (page.total ? `${drawn} of ${plural(page.total, "plan")}, kept for a month.` : "No plan has been made yet.");

const row = (one) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: `#/plans/${encodeURIComponent(one.id)}` }, summary(one.counts)), chip(STATES[one.state][1], STATES[one.state][0])),
    h("p", { class: "quiet" }, "Made ", when(one.created_at), ` by ${one.actor}`, one.bundles.length > 0 && ` · ${one.bundles.join(", ")}`, one.groups.length > 0 && ` · ${one.groups.join(", ")}`));

function making(named, signal) {
  const typed = drafts.find(DRAFT) || {};
  const picked = new Set(named ? [named] : typed.bundles || []);
  const bundles = h("ul", { class: "picks", "aria-label": "Bundles" });
  const hint = h("p", { class: "hint", role: "status" }, "Reading the bundles…");
  const keep = () => drafts.keep(DRAFT, { bundles: [...picked], groups: groups.value, people: people.value });
  const groups = h("textarea", { name: "groups", rows: 2, value: typed.groups || "", oninput: keep });
  const people = h("textarea", { name: "matrix_ids", rows: 2, value: typed.people || "", placeholder: "@ada:example.org", oninput: keep });
  const trouble = h("div", {});
  const send = h("button", { class: "main" }, "See what would change");
  const keyOf = keyed();

  async function load() {
    try {
      const { items } = await all("/api/bundles", 300, { signal });
      fill(bundles, items.map((one) => {
        const box = h("input", { type: "checkbox", checked: picked.has(one.id), onchange: () => (box.checked ? picked.add(one.id) : picked.delete(one.id), keep()) });
        return h("li", {}, h("label", {}, box, h("span", {}, one.name, h("span", { class: "quiet" }, ` · ${plural(one.rooms.length, "room")}`))));
      }));
      bundles.hidden = !items.length;
      fill(hint, items.length ? "None ticked: all of them." : ["There is no bundle yet: ", h("a", { href: "#/bundles/+" }, "make one"), " first."]);
    } catch (error) {
      if (!signal.aborted) fill(hint, problem(error, load));
    }
  }

  const words = (input) => input.value.split(/[\n,]/).map((one) => one.trim()).filter(Boolean);

  async function make() {
    const body = { bundles: [...picked], groups: words(groups), matrix_ids: words(people) };
    fill(trouble, h("p", { class: "quiet", role: "status" }, "Looking at everybody and at every room. In a large community this takes a minute…"));
    try {
      const made = await post("/api/plans", body, { key: keyOf(body), seconds: LONG });
      drafts.drop(DRAFT);
      location.hash = `#/plans/${made.id}`;
    } catch (error) {
      fill(trouble, problem(inWords(error)));
    }
  }

  load();
  return h("form", { class: "card", novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, make, trouble)) },
    h("div", { class: "field" }, h("p", { class: "label" }, "For which bundles"), bundles, hint),
    h("details", { open: Boolean(typed.groups || typed.people) }, h("summary", {}, "Only for some people"),
      field("Groups of Authentik", groups, "One a line. Only their members are looked at."), field("Matrix ids", people, "One a line.")),
    trouble, h("p", { class: "actions" }, send));
}
