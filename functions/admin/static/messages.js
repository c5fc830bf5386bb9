// What the states of a message and of its recipients are called.
import { chip, h } from "./dom.js";
import { plural, when } from "./words.js";

export const STATES = {
  running: ["Going out", "running"],
  paused: ["Paused", "paused"],
  stopped: ["Stopped by itself", "failed"],
  cancelled: ["Cancelled", "expired"],
  done: ["Sent", "done"],
  failed: ["Some did not get it", "failed"],
};

export const stateChip = (message) => chip(STATES[message.state][1], STATES[message.state][0]);
export const title = (message) => `To ${message.about}`;

// "12 got it, 1 did not, 3 to come": what there is none of is left out.
export function inWords({ got, failed, waiting, open, skipped }) {
  const parts = [
    got && `${got.toLocaleString("en")} got it`,
    failed && `${failed.toLocaleString("en")} did not`,
    waiting && `${waiting.toLocaleString("en")} ${waiting === 1 ? "waits" : "wait"}`,
    open && `${open.toLocaleString("en")} to come`,
    skipped && `${skipped.toLocaleString("en")} left out`,
  ].filter(Boolean);
  return parts.length ? parts.join(", ") : "nobody yet";
}

const opening = (text) => (text.length > 90 ? `${text.slice(0, 90).trimEnd()}…` : text);

export const messageRow = (message) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: `#/messages/${encodeURIComponent(message.id)}` }, title(message)), stateChip(message)),
    h("p", {}, opening(message.text.replace(/\s+/g, " "))),
    h("p", { class: "quiet" }, `${inWords(message.counts)}, of ${plural(message.people, "recipient")}. `, "Written by ", message.actor, " ", when(message.created_at)));

export const nameOf = (one) => one.name || one.username || one.matrix_id || one.room;
export const linked = (one) => (one.pk ? h("a", { href: `#/people/${one.pk}` }, nameOf(one)) : one.room ? h("a", { href: `#/rooms/${encodeURIComponent(one.room)}` }, nameOf(one)) : nameOf(one));

// Where a new message begins, filled in.
export const writeTo = (to) => `#/messages/new?${new URLSearchParams(Object.entries(to).filter(([, value]) => value))}`;
