// The personal line of a welcome; and where there is an assistant, what it suggests: a line and rooms, to be looked at.
import { ask, get, Problem } from "./api.js";
import { button, field, fill, h, once, problem } from "./dom.js";
import { eventsOf } from "./events.js";
import { keeper } from "./picker.js";
import { capital, plural } from "./words.js";

const LONGEST = 300; // characters, as the API takes them
const READ = 10_000; // characters of an introduction
const SECONDS = 110; // its turn, its answer, and some patience
const WITHOUT = "The welcome then is its template alone, unless you write a line yourself. Everything else here works.";

const state = keeper(() => get("/api/assistant"), 60_000);

// `introduction()`: what they wrote; `rooms`: the picker of the form. `redraw()` after the picker has changed.
export function personalLine({ known = "", introduction, rooms, changed, signal }) {
  const input = h("textarea", { name: "personal_line", maxlength: LONGEST, value: known, oninput: changed });
  const place = h("div", {});
  const element = h("div", { class: "own" },
    field("A personal line for the welcome", input, "If you like: one or two sentences that the welcome begins with."), place);
  let helper = { redraw() {} };
  state().then((found) => {
    if (found.on && !signal.aborted) fill(place, (helper = suggester({ input, host: found.host, introduction, rooms, changed, signal })).element);
  }, () => {}); // who cannot be asked is not there: the line can be written all the same
  return { element, value: () => input.value.trim(), redraw: () => helper.redraw() };
}

function suggester({ input, host, introduction, rooms, changed, signal }) {
  const told = h("p", { class: "hint told", role: "status" });
  const trouble = h("div", {});
  const list = h("ul", { class: "rows", "aria-label": "Rooms that are suggested" });
  const back = h("div", {});
  let [found, asking] = [[], null];
  const begin = button("Suggest a line and rooms", () => once(begin, suggest, trouble));
  const cancel = button("Cancel", () => asking?.abort(), { hidden: true });

  async function suggest() {
    const text = introduction().slice(0, READ);
    if (text.length < 3) return fill(trouble, h("p", { class: "problem", role: "alert" }, "There is nothing to go by yet: paste what they wrote, at the top."));
    const before = input.value;
    asking = new AbortController();
    busy(true, "Asking…");
    try {
      await hear(text, before);
    } catch (error) {
      input.value = before;
      told.textContent = asking.signal.aborted ? "Cancelled. What stood there is back." : "";
      if (!asking.signal.aborted && !signal.aborted) fill(trouble, problem(readable(error)), h("p", { class: "hint" }, WITHOUT));
    } finally {
      if (cancel === document.activeElement) begin.focus();
      busy(false);
      changed();
    }
  }

  function busy(on, words) {
    input.readOnly = on;
    if (on) input.setAttribute("aria-busy", "true");
    else input.removeAttribute("aria-busy");
    cancel.hidden = !on;
    if (on) fill(back), (told.textContent = words);
  }

  // What an event says, one kind after the other; the last line is the one that counts.
  async function hear(text, before) {
    const came = {};
    const answer = await ask("/api/assistant/suggest", { introduction: text },
      { seconds: SECONDS, signal: AbortSignal.any([signal, asking.signal]), headers: { Accept: "text/event-stream" } });
    const whole = await eventsOf(answer, ({ event, data }) => {
      came[event] = JSON.parse(data);
      if (event === "line") input.value = came.line.line || before;
      if (event === "waiting") told.textContent = `Others have asked just before: its turn comes in ${plural(Math.ceil(came.waiting.seconds), "second")}.`;
      if (event === "rooms") suggested(came.rooms.items);
    });
    if (came.problem) throw new Problem(capital(`${came.problem.detail}.`), came.problem.fix, { retryAfter: came.problem.retry_after });
    if (!whole) throw new Problem("The suggestion broke off.", "Ask again.");
    told.textContent = summary(came);
    if (before.trim() && came.line.line && before !== input.value) fill(back, restore(before));
  }

  const restore = (before) => h("p", { class: "actions" }, button("Back to what stood there", () => {
    input.value = before;
    fill(back);
    changed();
    input.focus();
  }));

  function suggested(items) {
    found = items;
    for (const room of items) if (!rooms.has(room.room_id)) rooms.add(room.room_id, room.name);
    redraw();
  }

  // Ticked is what is among the rooms of the form, wherever it was ticked.
  function redraw() {
    const boxes = [...list.querySelectorAll("input")];
    if (boxes.length === found.length && boxes.every((box, at) => box.value === found[at].room_id)) return boxes.forEach((box) => (box.checked = rooms.has(box.value)));
    fill(list, found.map((room) => h("li", {}, h("label", { class: "tick" },
      h("input", { type: "checkbox", value: room.room_id, checked: rooms.has(room.room_id), onchange: (event) => (event.target.checked ? rooms.add(room.room_id, room.name) : rooms.drop(room.room_id)) }),
      h("span", {}, room.name, h("span", { class: "quiet" }, ` · ${room.because}`))))));
  }

  const element = h("div", {},
    h("p", { class: "hint" }, `Only the introduction is sent to ${host}. E-mail addresses and telephone numbers are taken out of it first.`),
    h("p", { class: "actions" }, begin, cancel), trouble, told, back, list);
  return { element, redraw };
}

// One sentence: what is there now, and what it took.
function summary({ line, rooms, usage }) {
  const first = line.line ? "Look the line through: it can be changed." : `There is no line, since ${line.why}: the template alone is used.`;
  const second = rooms.problem ? ` No rooms: ${rooms.problem.detail}.` : rooms.items.length ? " These rooms are ticked:" : " No room suits.";
  const cost = usage.kept ? "It was asked before, and took nothing." : `${usage.estimated ? "About " : ""}${plural(usage.tokens, "token")}; ${usage.month.toLocaleString("en")} of ${usage.cap.toLocaleString("en")} this month.`;
  return `${first} ${cost}${second}`;
}

const readable = (error) => (error instanceof Problem ? error : new Problem("The suggestion broke off.", "Ask again."));
