// What was written to people and rooms, the newest first.
import { fill, h } from "../dom.js";
import { paged } from "../lists.js";
import { messageRow } from "../messages.js";
import { plural } from "../words.js";

export async function show(place, { signal }) {
  const words = (page, drawn) => (page.total ? `${drawn} of ${plural(page.total, "message")}.` : "Nothing has been written yet. Choose who it is for, and see it as they will before it goes out.");
  const messages = paged({ path: () => "/api/messages", row: messageRow, words, signal });
  fill(place, h("div", { class: "head" }, h("h1", {}, "Messages"), h("a", { class: "button main", href: "#/messages/new" }, "Write a message")), messages.list, messages.foot);
  await messages.begin();
}
