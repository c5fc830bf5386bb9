// Rooms by name: kept for some minutes, since every form and every step wants them.
import { all } from "./api.js";
import { fill, h, problem, uid } from "./dom.js";
import { plural } from "./words.js";

const KEPT = 5 * 60_000;
const SHOWN = 40;
let kept = null;

export function rooms() {
  if (kept && Date.now() - kept.at < KEPT) return kept.found;
  const found = all("/api/rooms", 4000).then(({ items }) => items);
  kept = { at: Date.now(), found };
  found.catch(() => (kept = null));
  return found;
}

// The name of a room, by id or alias; what it is called by, where nobody knows better.
export async function namer() {
  const found = await rooms().catch(() => []);
  const names = new Map(found.flatMap((room) => [[room.room_id, room.name], [room.alias, room.name]]));
  return (room) => names.get(room) || room;
}

// Search, tick, and see what is ticked. `value()` is the list of rooms; it survives every error.
export function picker(chosen = [], told = () => {}) {
  const picked = new Map(chosen.map((id) => [id, id]));
  const id = uid("rooms");
  const search = h("input", { type: "search", id, name: "rooms", autocomplete: "off", placeholder: "Search by name or topic", oninput: () => draw() });
  const list = h("ul", { class: "picks", "aria-label": "Rooms found" });
  const picks = h("ul", { class: "picked", "aria-label": "Rooms chosen" });
  const count = h("p", { class: "hint", role: "status" });
  let found = [];

  function toggle(room, name, on) {
    if (on) picked.set(room, name);
    else picked.delete(room);
    told();
    chosenOnes();
  }

  function chosenOnes() {
    fill(picks, [...picked].map(([room, name]) =>
      h("li", {}, h("button", { type: "button", "aria-label": `Leave out ${name}`, onclick: () => (toggle(room, name, false), draw(), search.focus()) }, name, " ✕"))));
    picks.hidden = !picked.size;
  }

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = found.filter((room) => words.every((word) => `${room.name} ${room.topic} ${room.alias}`.toLowerCase().includes(word)));
    fill(list, fits.slice(0, SHOWN).map((room) =>
      h("li", {}, h("label", {},
        h("input", { type: "checkbox", checked: picked.has(room.room_id), onchange: (event) => toggle(room.room_id, room.name, event.target.checked) }),
        h("span", {}, room.name, h("span", { class: "quiet" }, ` · ${plural(room.members, "member")}`))))));
    list.hidden = !fits.length;
    count.textContent = fits.length > SHOWN ? `${fits.length} rooms, the first ${SHOWN} shown: type to search.` : fits.length ? plural(fits.length, "room") : "No room is called that.";
  }

  async function load() {
    count.textContent = "Reading the rooms…";
    try {
      found = (await rooms()).filter((room) => room.kind !== "direct");
      for (const room of found) if (picked.has(room.room_id)) picked.set(room.room_id, room.name);
      chosenOnes();
      draw();
      if (!found.length) count.textContent = "The bot is in no room yet: invite it into one in your Matrix client.";
    } catch (error) {
      fill(count, problem(error, load));
    }
  }

  chosenOnes();
  load();
  const element = h("fieldset", { class: "field", "data-field": "rooms" }, h("legend", {}, "Rooms"),
    h("label", { for: id, class: "unseen" }, "Search rooms"), picks, search, list, count, h("p", { class: "wrong", hidden: true }));
  return { element, value: () => [...picked.keys()] };
}
