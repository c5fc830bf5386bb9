// One room: what it is, what the bot may do there and how to mend it, who is in it; inviting and removing people.
import { get, post } from "../api.js";
import { button, chip, copier, factList, fill, h, keyed, later, once, say } from "../dom.js";
import { paged } from "../lists.js";
import { writeTo } from "../messages.js";
import { peoplePicker } from "../people_picker.js";
import { removal } from "../removing.js";
import { about, marks, nameOf } from "../room_list.js";
import { ticked, tickRow } from "../ticks.js";
import { plural, when } from "../words.js";

const MOST = 100; // people of one request

export async function show(place, { id, query, signal }) {
  const path = `/api/rooms/${encodeURIComponent(id)}`;
  const room = await get(path, { signal });
  const powers = h("section", {});
  fill(place,
    h("div", { class: "head" }, h("h1", {}, nameOf(room)), h("span", { class: "chips" }, marks(room))),
    room.topic && h("p", { class: "topic" }, room.topic), facts(room), powers, inviting(room, signal, query), h("h2", {}, "Who is in it"),
    h("p", { class: "actions" }, h("a", { class: "button", href: writeTo({ members_of: room.room_id }) }, "Write to them"), h("a", { class: "button", href: writeTo({ room: room.room_id }) }, "Write into the room")));
  standing(powers, room, path, signal);
  const people = h("div", {});
  place.append(people, h("p", {}, h("a", { href: "#/rooms" }, "All rooms")));
  members(people, room, signal);
}

const spaces = (rooms) => rooms.map((room, at) => [at > 0 && ", ", h("a", { href: `#/rooms/${encodeURIComponent(room.room_id)}` }, room.name || room.room_id)]);

function facts(room) {
  const rows = [
    ["In it", about({ ...room, bot_power: null, alias: "" })],
    room.alias && ["Address", room.alias],
    ["Room id", h("code", {}, room.room_id)],
    room.in_spaces.length && ["In the space", spaces(room.in_spaces)],
    room.entered_by.length && ["May join by themselves", ["members of ", spaces(room.entered_by)]],
    room.children > 0 && ["Rooms in this space", String(room.children)],
    ["Messages", room.encrypted ? "encrypted" : "not encrypted"],
    room.replaced_by && ["Replaced by", h("a", { href: `#/rooms/${encodeURIComponent(room.replaced_by)}` }, "this room")],
  ];
  return h("section", {}, factList(rows),
    h("p", { class: "quiet" }, room.synced_at ? ["As of ", when(room.synced_at), "."] : "As the homeserver says now; who is in it is not read yet."));
}

// ---- the bot

function standing(place, room, path, signal) {
  const trouble = h("div", {});
  const again = button("Check again", () => once(again, async () => {
    standing(place, await get(path, { signal }), path, signal);
    place.querySelector("h2").focus();
    say("Looked again.");
  }, trouble));
  const may = (act, words, needed) => {
    const need = room.needs.find((one) => one.act === act);
    return h("li", {}, chip(need ? "bad" : "good", need ? "cannot" : "can"), ` ${words}: that needs power ${needed}.`);
  };
  const command = room.needs[0]?.command;
  const line = command && h("input", { readOnly: true, value: command, "aria-label": "The command", onfocus: (event) => event.target.select() });
  fill(place, h("h2", { tabindex: "-1" }, room.needs.length ? "What the bot may not do here" : "What the bot may do here"),
    room.bot_power === null ? h("p", {}, "Not known yet: press Read again on Rooms.") : [
      h("p", {}, "The bot, ", h("code", {}, room.bot), room.bot_power >= 2 ** 53 ? ", made this room, and may do everything." : `, has power ${room.bot_power}.`,
        !room.live && " The homeserver does not answer: this is what the last reading saw."),
      h("ul", { class: "rows" }, may("invite", "invite people", room.invite_power), may("remove", "remove people", room.remove_power))],
    command && [h("p", {}, h("strong", {}, "How to fix: "), "an admin of this room gives the bot that power in the room's settings, or types this into the room:"), line, h("p", { class: "actions" }, copier(() => command, "Copy the command", line), again)],
    !command && h("p", { class: "actions" }, again), trouble);
}

// ---- many people, this room

function inviting(room, signal, query) {
  const [trouble, send] = [h("div", {}), button("Invite", () => once(send, invite, trouble), { class: "main" })];
  const picks = ticked(`room.in.${room.room_id}`, () => (picker.drawn(), drawn()));
  const picker = peoplePicker({ picks, domain: room.domain, signal });
  const keyOf = keyed();

  function drawn() {
    send.textContent = picks.size ? `Invite ${plural(picks.size, "person", "people")}` : "Invite";
    send.disabled = !picks.size || picks.size > MOST;
    fill(trouble, picks.size > MOST && h("p", {}, `${MOST} people can be invited at once: leave some out, and invite them after.`));
  }

  async function invite() {
    const body = { matrix_ids: picks.ids(), rooms: [room.room_id] };
    const { job } = await post("/api/rooms/invite", body, { key: keyOf(body) });
    picks.clear();
    location.hash = `#/jobs/${job.id}`;
  }

  drawn();
  const lacks = room.needs.some((need) => need.act === "invite");
  return h("details", { class: "box", open: picks.size > 0 || query.get("do") === "invite" }, h("summary", {}, "Invite people"),
    lacks && h("p", { class: "wrong" }, "The bot cannot invite here yet: mend that first, above."), picker.element, trouble, h("p", { class: "actions" }, send));
}

// ---- who is in it, and out of it

function members(place, room, signal) {
  const path = `/api/rooms/${encodeURIComponent(room.room_id)}/members`;
  const search = h("input", { type: "search", "aria-label": "Search members", placeholder: "Search by name or Matrix id", oninput: later(begin) });
  const asked = () => (search.value.trim() ? `?${new URLSearchParams({ q: search.value.trim() })}` : "");
  const people = paged({ path: () => `${path}${asked()}`, row, words, signal });
  people.list.classList.add("box");
  const picks = ticked(`room.out.${room.room_id}`, () => steps.changed());
  const seen = new Map();
  const steps = removal({
    draft: `room.out.${room.room_id}`,
    picks,
    list: h("div", {}, h("div", { class: "field" }, search), people.list, people.foot),
    every: () => [...seen].slice(0, MOST),
    noun: "person",
    many: "people",
    body: (ids) => ({ matrix_ids: ids, rooms: [room.room_id] }),
    idOf: (item) => item.matrix_id,
    quiet: true,
  });
  fill(place, h("p", { class: "quiet" }, "Tick those who should leave: first you see what would happen."), steps.element);

  function row(one) {
    const name = one.name || one.matrix_id;
    if (!one.kept) seen.set(one.matrix_id, name);
    const more = [one.name && h("span", { class: "quiet" }, ` · ${one.matrix_id}`), one.bridge && [" ", chip("plain", `by ${one.bridge}`)], one.membership === "invite" && [" ", chip("waiting", "invited")], one.power > 0 && h("span", { class: "quiet" }, one.power >= 2 ** 53 ? " · made the room" : ` · power ${one.power}`)];
    const item = tickRow(picks, one.matrix_id, name, more, one.kept);
    if (one.pk) item.append(h("a", { href: `#/people/${one.pk}`, class: "aside", "aria-label": `About ${name}` }, "About"));
    return item;
  }

  function words(found, drawn) {
    const text = found.total ? `${drawn.toLocaleString("en")} of ${plural(found.total, "person", "people")}` : search.value.trim() ? "Nobody here is called that" : "Nobody is in it";
    return [text, ", as of ", when(found.synced_at), ".", !found.named && " Names were too many to look up at once: they show after a look at People."];
  }

  async function begin() {
    seen.clear();
    await people.begin();
  }

  begin();
}
