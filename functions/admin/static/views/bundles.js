// Bundles: named sets of rooms and groups.
import { chip, fill, h } from "../dom.js";
import { paged } from "../lists.js";
import { plural, when } from "../words.js";

export async function show(place, { signal }) {
  const bundles = paged({ path: () => "/api/bundles", row, words, signal });
  fill(place, h("div", { class: "head" }, h("h1", {}, "Bundles"), h("a", { class: "button main", href: "#/bundles/+" }, "Make a bundle")),
    h("p", { class: "quiet" }, "A bundle is a name for rooms, groups and power levels that belong together. Invites give it; a ", h("a", { href: "#/plans" }, "plan"), " shows who should be where by it."), bundles.list, bundles.foot);

  await bundles.begin();
}

const words = (page, drawn) => (page.total ? `${drawn} of ${plural(page.total, "bundle")}.` : "There is no bundle yet. Make one, for example “Choir” with the rooms of the choir.");

const row = (one) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: `#/bundles/${encodeURIComponent(one.id)}` }, one.name), one.removes && chip("waiting", "plans may remove")),
    h("p", { class: "quiet" }, [plural(one.rooms.length, "room"), one.groups.length && plural(one.groups.length, "group"), one.for_groups.length && `for ${one.for_groups.join(", ")}`].filter(Boolean).join(" · "), " · changed ", when(one.changed_at)));
