// To whom a message goes: one of several ways, each with what it needs. What was chosen stays when another way is looked at.
import { bundles } from "./grants.js";
import { field, fill, h, problem, uid } from "./dom.js";
import { peoplePicker } from "./people_picker.js";
import { picker as roomPicker, rooms } from "./rooms.js";
import { ticked } from "./ticks.js";

const WAYS = [
  ["users", "Everybody with an account, or some of them"],
  ["bundle", "Who has a bundle"],
  ["members_of", "Who is in a room, each by themselves"],
  ["rooms", "Into rooms, for all to read"],
  ["people", "People whom I name"],
];
const ACTIVE = [["true", "Active accounts"], ["", "All accounts"]];

// `start`: {way, users: {q, active, group}, bundle, members_of, rooms}. `told` hears of each change. `value()` is the `to` of a
// request, or null while something is missing; `kept()` what a draft keeps.
export function recipients({ start, domain, signal, told }) {
  const way = h("select", { name: "way", onchange: () => changed() }, WAYS.map(([value, text]) => h("option", { value, selected: value === start.way }, text)));
  const users = start.users || {};
  const search = h("input", { type: "search", name: "q", maxlength: 200, autocomplete: "off", value: users.q || "", placeholder: "Name, username, e-mail or Matrix id", oninput: () => changed() });
  const group = h("input", { name: "group", maxlength: 200, autocomplete: "off", value: users.group || "", placeholder: "any group", oninput: () => changed() });
  const active = h("select", { name: "active", onchange: () => changed() }, ACTIVE.map(([value, text]) => h("option", { value, selected: value === (users.active ?? "true") }, text)));
  const bundle = chooser("bundle", start.bundle, async () => (await bundles()).map((one) => [one.id, one.name]), "There is no bundle yet.");
  const room = chooser("members_of", start.members_of, async () => (await rooms()).map((one) => [one.room_id, one.name || one.room_id]), "The bot is in no room yet.");
  const into = roomPicker(start.rooms || [], () => changed());
  const picks = ticked("message.people", () => (people.drawn(), changed()));
  const people = peoplePicker({ picks, domain, signal });
  const parts = {
    users: h("div", {}, field("Found by", search, "Empty: everybody."), h("div", { class: "two" }, field("In the group", group), field("Accounts", active))),
    bundle: field("Which bundle", bundle.element),
    members_of: field("Which room", room.element),
    rooms: into.element,
    people: people.element,
  };

  // A list that is read once; what was chosen before is there at once.
  function chooser(name, chosen, read, none) {
    const element = h("select", { name, id: uid(name), onchange: () => changed() }, h("option", { value: chosen || "" }, chosen || "Reading…"));
    read().then((found) => {
      if (signal.aborted) return;
      fill(element, h("option", { value: "" }, found.length ? "Choose one" : none), found.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
      changed();
    }, (error) => signal.aborted || element.after(problem(error)));
    return { element };
  }

  const filter = () => ({ q: search.value.trim(), group: group.value.trim(), active: active.value ? active.value === "true" : null });

  function value() {
    switch (way.value) {
      case "users": return { users: filter() };
      case "bundle": return bundle.element.value ? { bundle: bundle.element.value } : null;
      case "members_of": return room.element.value ? { members_of: room.element.value } : null;
      case "rooms": return into.value().length ? { rooms: into.value() } : null;
      default: return picks.size ? { people: picks.ids() } : null;
    }
  }

  const kept = () => ({ way: way.value, users: { q: search.value, group: group.value, active: active.value }, bundle: bundle.element.value, members_of: room.element.value, rooms: into.value() });

  function shown() {
    for (const [name, part] of Object.entries(parts)) part.hidden = name !== way.value;
  }

  function changed() {
    shown();
    told();
  }

  shown();
  return { element: h("div", { "data-field": "to" }, field("Who gets it", way), Object.values(parts), h("p", { class: "wrong", hidden: true })), value, kept, way: () => way.value, sent: () => picks.clear() };
}
