// Rooms that suit what somebody writes of themselves, each with its reason; one tap adds one to those of the form.
import { post } from "./api.js";
import { button, fill, h, problem, say } from "./dom.js";

const PAUSE = 500; // milliseconds after the last key
const MOST = 6;
const READ = 10_000; // characters that the API looks at

// `rooms`: the picker of the form. `look(text)` asks, once the hand has come to rest; `redraw()` after the picker changed.
export function suggestions(rooms, signal) {
  const list = h("ul", { class: "rows", "aria-label": "Rooms that suit" });
  const told = h("p", { class: "hint", role: "status" }, "Rooms that suit come here while you type, each with the reason.");
  const element = h("div", { class: "suggested" }, told, list);
  let [timer, asking, found, last] = [0, new AbortController(), [], ""];
  signal.addEventListener("abort", () => (clearTimeout(timer), asking.abort()));

  function look(text) {
    const words = text.trim().slice(0, READ);
    if (words === last) return;
    last = words;
    clearTimeout(timer);
    asking.abort();
    if (words.length < 3) return draw([], "Rooms that suit come here while you type, each with the reason.");
    timer = setTimeout(() => ask(words), PAUSE);
  }

  // An answer that another question has overtaken is dropped.
  async function ask(words) {
    const mine = (asking = new AbortController());
    told.textContent = "Looking for rooms that suit…";
    try {
      const { items } = await post("/api/rooms/recommend", { interests: words, limit: MOST }, { signal: mine.signal });
      if (mine !== asking || mine.signal.aborted) return;
      draw(items, items.length ? "Rooms that suit:" : "No room suits these words.");
    } catch (error) {
      if (mine.signal.aborted || signal.aborted) return;
      found = [];
      fill(list);
      fill(told, problem(error, () => ask(words)));
    }
  }

  function draw(items, words) {
    found = items;
    told.textContent = words;
    redraw();
  }

  function redraw() {
    const focused = list.contains(document.activeElement) ? [...list.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    fill(list, found.map((room) => {
      const added = rooms.has(room.room_id);
      return h("li", {}, h("div", {}, h("strong", {}, room.name), h("span", { class: "quiet" }, ` · ${room.because}`)),
        button(added ? "Added" : "Add", () => !rooms.has(room.room_id) && (rooms.add(room.room_id, room.name), redraw(), say(`${room.name} is added.`)),
          { "aria-label": `${added ? "Added" : "Add"}: ${room.name}`, "aria-disabled": added ? "true" : null }));
    }));
    list.querySelectorAll("button")[focused]?.focus();
  }

  return { element, look, redraw };
}
