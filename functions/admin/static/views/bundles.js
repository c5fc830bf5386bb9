// Bundles: named sets of rooms and groups.
import { get } from "../api.js";
import { button, chip, fill, h, problem } from "../dom.js";
import { plural, when } from "../words.js";

export async function show(place, { signal }) {
  const list = h("ul", { class: "list" });
  const foot = h("div", { class: "actions", role: "status" });
  fill(place, h("div", { class: "head" }, h("h1", {}, "Bundles"), h("a", { class: "button main", href: "#/bundles/+" }, "Make a bundle")),
    h("p", { class: "quiet" }, "A bundle is a name for rooms, groups and power levels that belong together. Invites give it; a ", h("a", { href: "#/plans" }, "plan"), " shows who should be where by it."), list, foot);

  async function more(cursor) {
    try {
      const page = await get(`/api/bundles?limit=50${cursor && `&cursor=${encodeURIComponent(cursor)}`}`, { signal });
      list.append(...page.items.map(row));
      fill(foot, h("p", { class: "quiet" }, page.total ? `${list.children.length} of ${plural(page.total, "bundle")}.` : "There is no bundle yet. Make one, for example “Choir” with the rooms of the choir."),
        page.next_cursor && button("Show more", (event) => ((event.target.disabled = true), more(page.next_cursor))));
    } catch (error) {
      if (!signal.aborted) fill(foot, problem(error, () => more(cursor)));
    }
  }

  await more("");
}

const row = (one) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: `#/bundles/${encodeURIComponent(one.id)}` }, one.name), one.removes && chip("waiting", "plans may remove")),
    h("p", { class: "quiet" }, [plural(one.rooms.length, "room"), one.groups.length && plural(one.groups.length, "group"), one.for_groups.length && `for ${one.for_groups.join(", ")}`].filter(Boolean).join(" · "), " · changed ", when(one.changed_at)));
