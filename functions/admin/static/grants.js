// Groups and bundles by name: what an invite or a form gives beside rooms.
import { all } from "./api.js";
import { h } from "./dom.js";
import { keeper, picker } from "./picker.js";
import { plural } from "./words.js";

export const groups = keeper(() => all("/api/groups", 4000).then(({ items }) => items), 60_000);
export const bundles = keeper(() => all("/api/bundles", 300).then(({ items }) => items), 60_000);

// By name: so do accounts and invites have them. One that may not be granted is shown, with the reason.
export const groupPicker = (chosen = [], told = () => {}, more = {}) => picker({
  field: "groups", legend: "Groups in Authentik", nouns: ["group", "groups"], search: "Search groups", chosen, told,
  empty: "Authentik has no group yet.",
  load: async () => (await groups()).map((group) => ({
    id: group.name, name: group.name, detail: group.members === null ? "" : plural(group.members, "member"),
    blocked: group.grantable ? "" : `Cannot be granted here: ${group.why}.`,
  })).sort((a, b) => Boolean(a.blocked) - Boolean(b.blocked)),
  ...more,
});

// Whose members something is for: nobody is given anything by being looked at.
export const membersPicker = (chosen, told, legend) => groupPicker(chosen, told, {
  field: "for_groups", legend, search: "Search groups of members",
  load: async () => (await groups()).map((group) => ({ id: group.name, name: group.name, detail: group.members === null ? "" : plural(group.members, "member") })),
});

export const bundlePicker = (chosen = [], told = () => {}) => picker({
  field: "bundles", legend: "Bundles", nouns: ["bundle", "bundles"], search: "Search bundles", chosen, told,
  hint: "Named sets of rooms and groups.",
  empty: "There is no bundle yet: make one under More.",
  load: async () => (await bundles()).map((bundle) => ({ id: bundle.id, name: bundle.name, detail: within(bundle) })),
});

export const within = (bundle) => [plural(bundle.rooms.length, "room"), bundle.groups.length && plural(bundle.groups.length, "group")].filter(Boolean).join(", ");

// What the bundles and groups of somebody or something are called, and what each bundle gives; only what is asked for is
// read, and where it cannot be the ids have to do. Groups are found by name or uuid.
export async function named({ bundles: ids = [], groups: some = [] }) {
  const held = ids.length ? await bundles().catch(() => null) : [];
  const gone = held ? "deleted, it gives nothing any more" : "what it gives could not be looked up";
  const found = ids.map((id) => held?.find((each) => each.id === id) || { id, name: id, rooms: [], groups: [], gone });
  const wanted = [...some, ...found.flatMap((each) => each.groups)];
  const known = wanted.length ? await groups().catch(() => []) : [];
  const names = new Map(known.map((group) => [group.id, group.name]));
  return { bundles: found, group: (group) => names.get(group) || group };
}

// One bundle in words, with a link to it.
export function bundleInWords(bundle, room, group) {
  const parts = [bundle.gone, bundle.rooms.length && `rooms ${bundle.rooms.map(room).join(", ")}`, bundle.groups.length && `groups ${bundle.groups.map(group).join(", ")}`];
  return [h("a", { href: `#/bundles/${encodeURIComponent(bundle.id)}` }, bundle.name), `: ${parts.filter(Boolean).join("; ") || "empty"}`];
}

// Both pickers behind a fold: they are read once somebody wants to see them, or has chosen one before.
export function groupsAndBundles({ groups: some, bundles: ids, changed }) {
  let pickers = null;
  const place = h("div", { class: "two" });
  const draw = () => {
    if (pickers) return;
    pickers = { groups: groupPicker(some, changed), bundles: bundlePicker(ids, changed) };
    place.append(pickers.groups.element, pickers.bundles.element);
  };
  const chosen = some.length + ids.length > 0;
  const element = h("details", { open: chosen, ontoggle: draw }, h("summary", {}, "Groups and bundles"), place);
  if (chosen) draw();
  return { element, value: () => ({ groups: pickers ? pickers.groups.value() : some, bundles: pickers ? pickers.bundles.value() : ids }) };
}
