// Times, durations and states in words.
import { h } from "./dom.js";

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const near = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const far = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

export function relative(at, now = Date.now()) {
  const seconds = Math.round((new Date(at) - now) / 1000);
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each * (each === 86400 ? 2 : 1)) || UNITS[3];
  if (Math.abs(seconds) < 5) return "now";
  return near.format(Math.round(seconds / size), unit);
}

export function date(at) {
  const year = new Date(at).getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  return new Date(at).toLocaleString(undefined, { ...far, ...year });
}

// "in 3 days", with the date beside it for who wants to know, and for a machine.
export const when = (at) => (at ? h("time", { datetime: at, title: date(at), "data-live": true }, relative(at)) : "never");
// What is to come, counted down; it may be late, but never "3 minutes ago".
export const coming = (at) => (new Date(at) - Date.now() < 5000 ? "any moment" : relative(at));
export const next = (at) => h("time", { datetime: at, title: date(at), "data-live": "next" }, coming(at));
export const whenAndDate = (at) => h("time", { datetime: at }, `${relative(at)} (${date(at)})`);

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${(seconds / 3600).toFixed(1).replace(".0", "")} h`;
  return plural(Math.round(seconds / 86400), "day");
}

export const WAITS = {
  person: "somebody to name their Matrix id",
  indoc: "them to be in INDOC",
  device: "their first device",
  join: "them to accept",
  room: "the room",
  target: "a room of theirs",
  limit: "a day on which they got fewer messages",
  bridge: "the bridge to answer",
  paused: "the message to be resumed",
  matrix: "Matrix, which is down",
  authentik: "Authentik, which is down",
};

export const STEPS = {
  deactivate: "Deactivate the account",
  activate: "Activate the account",
  invitation: "Delete the used-up invitation",
  groups: "Groups in Authentik",
  room: "Invite to",
  level: "Power level in",
  indoc_farewell: "Farewell in INDOC",
  indoc_removal: "Out of INDOC",
  hello: "Direct room and hello",
  welcome: "The welcome",
  sponsor_note: "Word to the sponsor",
  removal_message: "Message to them",
  answer: "Answer to them",
  removal: "Remove from",
  email: "E-mail",
  template_test: "A message to try",
  signal_room: "Chat on Signal",
};
const ORDER = Object.keys(STEPS);

export const INVITES = { pending: "Open", redeemed: "Used up", expired: "Expired", revoked: "Revoked" };

// A fix is written for those who use the API; here the form for it stands on the same page.
export const fixHere = (fix) => fix.replace(/: POST \/api\/users\/\{pk\}\/onboard with matrix_id/g, " at the top of this page");

const ALONE = { room: "Invite to a room", level: "Power level in a room", removal: "Out of a room" };
export const kindInWords = (kind) => ALONE[kind] || STEPS[kind] || kind;
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const kindOf = (name) => name.split(":")[0];
export const inOrder = (steps) =>
  Object.keys(steps).sort((a, b) => place(a) - place(b) || steps[a].room.localeCompare(steps[b].room));
const place = (name) => (ORDER.indexOf(kindOf(name)) + 100) % 100;

// One step in one human sentence.
export function sentence(step, held = false) {
  const tries = step.attempts > 1 ? ` after ${plural(step.attempts, "try", "tries")}` : "";
  switch (step.state) {
    case "done":
      return step.detail ? `Done: ${step.detail}.` : "Done.";
    case "skipped":
      return `Skipped${step.detail ? `: ${step.detail}` : ""}.`;
    case "failed":
      return `Failed${tries}: ${step.cause}.`;
    case "waiting":
      return `Waits: ${step.cause || "for its turn"}.`;
    case "pending":
      return held ? "Waits for your decision." : "Waits for the step before it.";
    case "running":
      return "Under way.";
    default:
      return step.cause ? `To be tried again: ${step.cause}.` : "About to begin.";
  }
}

const NAMES = /[@!#$][^\s:,;'"()]+(:[^\s,;'"()]+)?|'[^']*'|"[^"]*"|\b[0-9a-f]{8,}\b|\d+/g;
// A cause without the names and numbers by which two of one kind differ (as shared/domain/figures.py).
export const alike = (cause) => cause.replace(/^given up after \d+ tries: /, "").replace(NAMES, "…");
