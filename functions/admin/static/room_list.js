// The bot's rooms, searched and filtered by the server, a page at a time, with how old that is and "Read again".
import { get, post, Problem } from "./api.js";
import { button, chip, fill, h, later, once, problem, say } from "./dom.js";
import { paged } from "./lists.js";
import { plural, when } from "./words.js";

const ONLY = [["", "All", "all"], ["missing", "Something is missing", "missing"], ["spaces", "Spaces", "spaces"], ["encrypted", "Encrypted", "encrypted"]];
const RULES = { public: "anybody may join", invite: "by invite", knock: "by asking", restricted: "members of a space may join", knock_restricted: "members of a space may join" };
const POLL = 1500;
const PATIENCE = 180_000;

export const nameOf = (room) => room.name || room.alias || room.room_id;
export const link = (room) => `#/rooms/${encodeURIComponent(room.room_id)}`;

// `row(room)` draws one; `more`: what else the address has to keep. `found()` is what is searched for just now.
export function roomList({ query, signal, row, more = {} }) {
  const only = query.get("only") || "";
  const age = h("p", { class: "quiet age" });
  const search = h("input", { type: "search", "aria-label": "Search rooms", placeholder: "Search by name, topic or address", value: query.get("q") || "", oninput: typed });
  const chips = h("ul", { class: "filters", "aria-label": "Which rooms" });

  const address = (kind, words) => {
    const parts = Object.entries({ ...more, only: kind, q: words }).filter(([, value]) => value);
    return `#/rooms${parts.length ? `?${new URLSearchParams(parts)}` : ""}`;
  };
  const asked = () => new URLSearchParams(Object.entries({ q: search.value.trim(), only }).filter(([, value]) => value));

  const soonAnew = later(() => signal.aborted || begin());
  // The address and the filters follow at once; the list, when the typing pauses.
  function typed() {
    const words = search.value.trim();
    history.replaceState(null, "", address(only, words));
    for (const [at, each] of chips.querySelectorAll("a").entries()) each.href = address(ONLY[at][0], words);
    soonAnew();
  }

  const words = (found, drawn) => (found.total ? `${drawn.toLocaleString("en")} of ${plural(found.total, "room")}.` : empty(found));
  const came = (found) => found && counted(found);
  const path = () => `/api/rooms?${asked()}`;
  const { list, foot, begin } = paged({ path, row, words, came, signal });

  function empty(found) {
    if (only === "missing" && found.counts.all) return "Nothing is missing: the bot may do what it needs in each of these rooms.";
    if (search.value.trim()) return "No room is called that.";
    return only ? "None." : "The bot is in no room yet. In your Matrix client, invite it into one; then press Read again.";
  }

  function counted(found) {
    fill(chips, ONLY.map(([kind, text, name]) => h("li", {}, h("a", { href: address(kind, search.value.trim()), "aria-current": kind === only ? "true" : null },
      text, h("span", { class: "count" }, found.counts[name].toLocaleString("en"))))));
    fill(age, "As of ", when(found.synced_at), ".");
  }

  const again = readAgain(begin, signal);
  fill(chips, ONLY.map(([kind, text]) => h("li", {}, h("a", { href: address(kind, search.value.trim()), "aria-current": kind === only ? "true" : null }, text, h("span", { class: "count" }, "…")))));
  const element = h("div", {}, chips, h("div", { class: "field" }, search), h("div", { class: "aged" }, age, again.control), again.place, list, foot);
  return { element, list, begin, asked };
}

// Asks for a sync of the rooms, waits for its end, then `done()`.
export function readAgain(done, signal) {
  const place = h("div", {});
  const control = button("Read again", () => once(control, press, place), { class: "plain" });

  async function press() {
    fill(place, h("p", { class: "quiet", role: "status" }, "Reading the rooms from the homeserver…"));
    try {
      await read(place, signal);
    } catch (error) {
      if (!signal.aborted) fill(place, problem(error.status === 429 ? soon(error) : error, () => once(control, press, place)));
      return;
    }
    fill(place);
    await done();
    say("Read again.");
  }

  return { control, place };
}

const soon = (error) => new Problem("The rooms were read only moments ago.", "", { status: 429, retryAfter: error.retryAfter });
const ofMatrix = async (signal) => (await get("/api/sync", { signal })).items.find((one) => one.source === "matrix");

async function read(place, signal) {
  const before = await ofMatrix(signal);
  await post("/api/sync", { source: "matrix" }, { signal });
  const until = Date.now() + PATIENCE;
  while (Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, POLL));
    if (signal.aborted) return;
    const now = await ofMatrix(signal);
    if (now.cause && now.failed_at !== before.failed_at) throw new Problem(now.cause, now.fix);
    if (!now.running && now.synced_at !== before.synced_at) return;
    if (now.progress) fill(place, h("progress", { max: 1, value: now.progress, "aria-label": "Read so far" }));
  }
  throw new Problem("It takes longer than three minutes.", "It goes on by itself: look again later.");
}

// What a row says of a room, under its name.
export const about = (room) => [
  plural(room.members, "member"), room.invited > 0 && ` and ${room.invited} invited`, room.alias && ` · ${room.alias}`, ` · ${RULES[room.join_rule] || room.join_rule || "by invite"}`,
  room.bot_power !== null && (room.bot_power >= 2 ** 53 ? " · the bot made it" : ` · the bot has power ${room.bot_power}`),
];

export const marks = (room) => [
  room.kind === "m.space" && chip("plain", "space"), room.encrypted && chip("plain", "encrypted"), room.replaced_by && chip("waiting", "replaced"),
  ...room.needs.map((need) => chip("bad", need.act === "invite" ? "cannot invite" : "cannot remove")),
];
