// One person to many rooms: what is ticked stays through searches and errors, until the invites are under way.
import { all, get, post } from "./api.js";
import { button, chip, fill, h, keyed, once, problem } from "./dom.js";
import { marks, nameOf, roomList } from "./room_list.js";
import { allOrNone, retick, ticked, tickRow, tray } from "./ticks.js";
import { plural, when } from "./words.js";

const MOST = 100; // rooms of one request

export async function show(place, { query, signal }) {
  const whom = query.get("for");
  const picks = ticked(`rooms.for.${whom}`, changed);
  const [trouble, where] = [h("div", {}), h("div", {})];
  let theirs = new Set();
  const rooms = roomList({ query, signal, more: { for: whom }, row: (room) => tickRow(picks, room.room_id, nameOf(room), [h("span", { class: "quiet" }, ` · ${plural(room.members, "member")} `), marks(room)], theirs.has(room.room_id) ? "they are in it" : "") });
  const send = button("", () => once(send, invite, trouble), { class: "main" });
  const count = h("span", { role: "status" });
  const keyOf = keyed();

  function changed() {
    fill(count, picks.size ? `${plural(picks.size, "room")} chosen` : "No room chosen yet");
    send.textContent = picks.size ? `Invite to ${plural(picks.size, "room")}` : "Invite";
    send.disabled = !picks.size;
    retick(rooms.list, picks);
  }

  // All that the search finds, as many as one request takes; not those in which the bot may not invite.
  async function every() {
    const { items, total } = await all(`/api/rooms?${rooms.asked()}`, 2 * MOST, { signal });
    const fit = items.filter((room) => !theirs.has(room.room_id) && !picks.has(room.room_id) && !room.needs.some((need) => need.act === "invite"));
    picks.add(fit.slice(0, MOST - picks.size).map((room) => [room.room_id, nameOf(room)]));
    if (picks.size >= MOST && total > MOST) fill(trouble, h("p", {}, `${MOST} rooms can be chosen at once: invite to these first.`));
  }

  async function invite() {
    const body = { matrix_id: whom, rooms: picks.ids() };
    const { job } = await post("/api/rooms/invite", body, { key: keyOf(body) });
    picks.clear();
    location.hash = `#/jobs/${job.id}`;
  }

  const [allOf, none] = allOrNone(() => once(allOf, every, trouble), () => picks.clear());
  fill(place, h("div", { class: "head" }, h("h1", {}, "Choose rooms for ", whom), h("a", { class: "button", href: `#/rooms?${new URLSearchParams({ out: whom })}` }, "Take out instead")),
    where, rooms.element, tray(count, allOf, none, send, trouble));
  changed();
  theirs = await inside(whom, where, signal);
  await rooms.begin();
}

// In which of them they are; where that cannot be read, inviting again does no harm.
async function inside(whom, where, signal) {
  try {
    const found = await get(`/api/members/${encodeURIComponent(whom)}/rooms`, { signal });
    fill(where, h("p", { class: "quiet" }, found.total ? `They are in ${plural(found.total, "room")} of the bot.` : "They are in none of the bot's rooms.",
      !found.live && [" ", chip("waiting", "not live"), " The homeserver does not answer: this is as of ", when(new Date(Date.now() - found.age_seconds * 1000).toISOString()), "."]));
    return new Set(found.items.map((room) => room.room_id));
  } catch (error) {
    if (!signal.aborted) fill(where, problem(error), h("p", { class: "quiet" }, "In which rooms they are is not known just now. Whom you invite again stays where they are."));
    return new Set();
  }
}
