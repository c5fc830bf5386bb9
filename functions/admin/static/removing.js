// Taking people out of rooms, in two steps: first what would happen, as the homeserver says it now; then to do it.
import { get, post } from "./api.js";
import { button, chip, drafts, field, fill, h, keyed, mark, once, problem } from "./dom.js";
import { nameOf } from "./room_list.js";
import { namer } from "./rooms.js";
import { allOrNone, retick, ticked, tickRow, tray, typedCount } from "./ticks.js";
import { capital, plural, when } from "./words.js";

const LONG = 60; // seconds: each room and person is looked at live

// One person, out of some or all of their rooms.
export async function show(place, { query, signal }) {
  const whom = query.get("out");
  const picks = ticked(`rooms.out.${whom}`, () => steps.changed());
  const list = h("ul", { class: "list box" });
  const where = h("div", {});
  let rooms = [];
  const steps = removal({
    draft: `rooms.out.${whom}`,
    picks,
    list,
    every: () => rooms.map((room) => [room.room_id, nameOf(room)]),
    noun: "room",
    body: (ids) => ({ matrix_id: whom, rooms: ids }),
    idOf: (item) => item.room,
  });
  fill(place, h("div", { class: "head" }, h("h1", {}, "Take ", whom, " out of rooms"), h("a", { class: "button", href: `#/rooms?${new URLSearchParams({ for: whom })}` }, "Invite instead")), where, steps.element);
  async function load() {
    fill(where, h("p", { class: "quiet" }, "Looking in which rooms they are…"));
    try {
      const found = await get(`/api/members/${encodeURIComponent(whom)}/rooms`, { signal });
      rooms = found.items;
      fill(list, rooms.map((room) => tickRow(picks, room.room_id, nameOf(room), h("span", { class: "quiet" }, ` · ${plural(room.members, "member")}`))));
      fill(where, said(found));
      steps.changed();
    } catch (error) {
      if (!signal.aborted) fill(where, problem(error, load));
    }
  }
  await load();
}

function said(found) {
  if (!found.live) return h("p", {}, chip("waiting", "not live"), " The homeserver does not answer. These are their rooms as of ", when(new Date(Date.now() - found.age_seconds * 1000).toISOString()), ": you can choose now, and go on once it is back.");
  return h("p", { class: "quiet" }, found.total ? `They are in ${plural(found.total, "room")} of the bot, as the homeserver says now.` : "They are in none of the bot's rooms: there is nothing to take them out of.");
}

// The two steps. `every()`: pairs of id and name that can be ticked; `body(ids)`: whom and where, for the request;
// `idOf(item)`: which tick an item of the job is about; `quiet`: nothing is offered before something is ticked.
export function removal({ draft, picks, list, every, noun, many, body, idOf, quiet = false }) {
  const words = reasons(`${draft}.words`);
  const [trouble, second, count] = [h("div", {}), h("div", {}), h("span", { role: "status" })];
  const look = button("", () => once(look, seen, trouble), { class: "main" });
  const [all, none] = allOrNone(() => picks.add(every()), () => picks.clear());
  const bar = tray(count, all, none, look, trouble);
  const first = h("div", {}, list, words.element, bar);
  const element = h("div", {}, first, second);
  const ids = () => (picks.size ? picks.ids() : []);

  function changed() {
    fill(count, picks.size ? `${plural(picks.size, noun, many)} chosen` : `No ${noun} chosen yet`);
    look.textContent = "See what would happen";
    look.disabled = !picks.size;
    all.disabled = !every().length;
    words.element.hidden = !picks.size;
    bar.hidden = quiet && !picks.size;
    retick(list, picks);
  }

  async function seen() {
    if (!words.given()) return;
    const asked = { ...body(ids()), ...words.value() };
    try {
      const { job } = await post("/api/rooms/remove?dry_run=true", asked, { seconds: LONG });
      const name = await namer();
      first.hidden = true;
      fill(second, foreseen(job, name));
      second.querySelector("h2").focus();
    } catch (error) {
      if (words.marked(error)) return;
      const kept = h("p", {}, "Nothing was done. What you have chosen is kept.");
      fill(trouble, problem(error, error.status === 503 || !error.status ? () => once(look, seen, trouble) : undefined), kept);
    }
  }

  function back() {
    fill(second);
    first.hidden = false;
    look.focus();
  }

  // Greyed out with the reason: who is protected, where they are not, what the bot may not do and how to mend it.
  function foreseen(job, name) {
    const removals = job.items.filter((item) => item.kind === "removal");
    const told = job.items.filter((item) => item.kind === "removal_message");
    const can = removals.filter((item) => !["failed", "skipped"].includes(item.state));
    const going = new Map(can.map((item) => [idOf(item), item]));
    const box = { has: (id) => going.has(id), set: (id, _, on) => (on ? going.set(id, 1) : going.delete(id), drawn()) };
    const called = (item) => picks.entries().find(([id]) => id === idOf(item))?.[1] || name(item.room);
    const rows = h("ul", { class: "list box" }, can.map((item) => tickRow(box, idOf(item), called(item), "")));
    const kept = removals.filter((item) => !can.includes(item));
    const failed = h("div", {});
    const typed = typedCount(() => going.size, drawn);
    const act = button("", () => once(act, go, failed), { class: "danger" });
    const [allOf, noneOf] = allOrNone(() => (can.forEach((item) => going.set(idOf(item), item)), retick(rows, box), drawn()), () => (going.clear(), retick(rows, box), drawn()));
    const keyOf = keyed();

    function drawn() {
      typed.drawn("");
      act.textContent = `Do ${going.size === 1 ? "this 1 thing" : `these ${going.size} things`}`;
      act.disabled = !going.size || !typed.fits();
    }

    async function go() {
      const asked = { ...body([...going.keys()]), ...words.value() };
      const started = await post("/api/rooms/remove", asked, { key: keyOf(asked) });
      picks.clear();
      words.clear();
      location.hash = `#/jobs/${started.job.id}`;
    }

    drawn();
    return [
      h("section", {}, h("h2", { tabindex: "-1" }, can.length ? `What would happen: ${plural(can.length, "removal")}` : "Nothing would happen"),
        h("p", { class: "quiet" }, `As the homeserver says now. Said as the reason: “${job.reason}”.`),
        told.length > 0 && h("p", {}, `Before that ${told.length === 1 ? "they are" : "each is"} told: “${job.message}”`),
        job.notes.map((note) => h("p", {}, capital(note), ".")),
        can.length > 0 && rows),
      kept.length > 0 && h("section", {}, h("h2", {}, `Not done: ${kept.length}`), h("ul", { class: "rows kept" }, kept.map((item) =>
        h("li", {}, h("strong", {}, called(item)), ": ", item.state === "skipped" ? item.result.reason : item.cause, ".", item.fix && h("span", { class: "line" }, h("strong", {}, "How to fix: "), item.fix))))),
      tray(typed.element, can.length > 0 && [allOf, noneOf], button("Back", back), act, failed),
    ];
  }

  changed();
  return { element, changed };
}

// Why, from what is stored or in own words; and what they are told before, if anything.
function reasons(draft) {
  const typed = drafts.find(draft) || {};
  const keep = () => drafts.keep(draft, { template: template.value, reason: reason.value, message: message.value, required: required.checked });
  const template = h("select", { name: "template", onchange: () => (chosen(), keep()) }, h("option", { value: "" }, "In my own words"));
  const reason = h("input", { name: "reason", maxlength: 100, autocomplete: "off", value: typed.reason || "", oninput: keep });
  const message = h("textarea", { name: "message", maxlength: 4000, value: typed.message || "", oninput: keep });
  const required = h("input", { type: "checkbox", checked: Boolean(typed.required), onchange: keep });
  const [stored, own] = [h("p", { class: "quiet" }), field("Reason", reason, "Everybody in the room can read it.")];
  let known = [];

  function chosen() {
    const one = known.find((each) => each.id === template.value);
    own.hidden = Boolean(one);
    fill(stored, one && `“${one.reason}”`, one?.message && ` They are told before: “${one.message}”`);
  }

  get("/api/removal_reasons?limit=200").then(({ items }) => {
    known = items;
    template.append(...items.map((one) => h("option", { value: one.id, selected: one.id === typed.template }, one.label)));
    chosen();
  }, (error) => fill(stored, `The stored reasons could not be read: ${error.detail}`));

  const element = h("div", { class: "card" }, field("Why", template), stored, own,
    h("details", { open: Boolean(typed.message) }, h("summary", {}, "Tell them something before"),
      field("Message", message, "In their direct room with the bot. It may name {name}, {username}, {community} and {date}."),
      h("label", { class: "tick" }, required, h("span", {}, "Remove nobody who could not be told"))));
  const value = () => ({
    ...(template.value ? { template: template.value } : { reason: reason.value.trim() }),
    ...(message.value.trim() ? { message: message.value.trim() } : {}),
    ...(required.checked ? { message_required: true } : {}),
  });

  // What is wrong with the reason stands beside it.
  function marked(error) {
    const wrong = own.hidden ? null : error.errors?.find((each) => each.field === "reason");
    mark(element, wrong ? [wrong] : []);
    return Boolean(wrong);
  }

  const given = () => !marked({ errors: template.value || reason.value.trim() ? [] : [{ field: "reason", message: "Say why: everybody in the room can read it." }] });
  return { element, value, marked, given, clear: () => drafts.drop(draft) };
}
