// The bot's rooms. With `for` in the address: to choose some of them for somebody; with `out`: to take somebody out.
import { button, field, fill, h } from "../dom.js";
import { saver } from "../files.js";
import { about, link, marks, nameOf, roomList } from "../room_list.js";

export async function show(place, { query, signal }) {
  if (query.get("for")) return (await import("../inviting.js")).show(place, { query, signal });
  if (query.get("out")) return (await import("../removing.js")).show(place, { query, signal });
  const rooms = roomList({ query, signal, row });
  const what = "rooms";
  const [csv, trouble] = saver("Save all as CSV", () => `/api/export/${what}.csv`, `rooms-${new Date().toISOString().slice(0, 10)}.csv`);
  fill(place, h("div", { class: "head" }, h("h1", {}, "Rooms"), csv), trouble, somebody(), rooms.element);
  return rooms.begin();
}

const row = (room) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: link(room) }, nameOf(room)), h("span", { class: "chips" }, marks(room))),
    room.topic && h("p", { class: "topic" }, room.topic), h("p", { class: "quiet" }, about(room)));

// One person and many rooms: who it is about comes first.
function somebody() {
  const who = h("input", { name: "matrix_id", autocomplete: "off", maxlength: 255, placeholder: "@ada:example.org", spellcheck: "false" });
  const wrong = h("p", { class: "wrong", role: "alert" });
  const lead = (way) => {
    const id = who.value.trim();
    if (!/^@[^:\s]+:\S+$/.test(id)) return fill(wrong, "A Matrix id looks like @ada:example.org."), who.focus();
    location.hash = `#/rooms?${new URLSearchParams({ [way]: id })}`;
    return undefined;
  };
  return h("details", { class: "box" }, h("summary", {}, "Invite one person to many rooms, or take them out"),
    h("form", { onsubmit: (event) => (event.preventDefault(), lead("for")) },
      field("Their Matrix id", who, "As they are called in their Matrix client."), wrong,
      h("p", { class: "actions" }, h("button", { class: "main" }, "Choose rooms for them"), button("Take them out of rooms", () => lead("out")))));
}
