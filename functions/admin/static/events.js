// Follows an onboarding, a job or a message while it moves: by Server-Sent Events, read with fetch, since EventSource could only put a token
// into the address; where no stream comes through, by asking now and then.
import { get, open, Problem } from "./api.js";

const SILENCE = 40_000; // milliseconds; the server says something every 15 s
const BREAKS = 3; // on end, after which it is asked for instead
const STEADY = 60_000; // a stream that has lasted for so long was a good one
const POLLS = 120_000; // how long it is asked for until a stream is tried again
const SOON = 2000; // between two questions, while something moves
const LATER = 15_000; // ... and while nothing does

// `told(found)` with what GET `path` answers, at first and whenever it has changed; `failed(problem)` when it could not be read,
// `failed(null)` when it can again. Comes to its end when nothing more will come (true), when `signal` says so, or when it is
// not to be had (false). What is `endless` never says that nothing more will come. In a hidden tab it rests.
export async function follow(path, { signal, told, failed = () => {}, endless = false }) {
  const about = { path, signal, told, failed, endless, last: "", over: false, faults: 0, breaks: 0, polls: 0 };
  while (!signal.aborted && !about.over) {
    if (!(await shown(signal))) break;
    try {
      await (Date.now() < about.polls ? asked(about) : streamed(about));
    } catch (error) {
      if (signal.aborted) break;
      if ([401, 403, 404].includes(error.status)) return failed(error), false;
      if (error.name !== "AbortError") failed(error);
      about.faults = Math.min(about.faults + 1, 5);
      await pause(1000 * 2 ** about.faults, signal);
    }
  }
  return about.over;
}

// A mistake in a view is not taken for a fault of the network.
function tell(about, found) {
  try {
    about.told(found);
  } catch (error) {
    console.error(error);
  }
}

function well(about) {
  if (about.faults) about.failed(null);
  about.faults = 0;
}

// ---- a stream

async function streamed(about) {
  const began = Date.now();
  const here = new AbortController();
  const hide = () => document.hidden && here.abort();
  document.addEventListener("visibilitychange", hide);
  let heard = setTimeout(() => here.abort("silent"), SILENCE);
  const listen = () => (clearTimeout(heard), (heard = setTimeout(() => here.abort("silent"), SILENCE)));
  try {
    await read(about, AbortSignal.any([about.signal, here.signal]), listen);
    if (!about.over) broken(about, began);
  } catch (error) {
    if (about.signal.aborted || (here.signal.aborted && here.signal.reason !== "silent")) return;
    if (error.status === 503) return instead(about, POLLS);
    if (error.status) throw error;
    broken(about, began);
    if (error instanceof Problem) throw error; // it could not even be reached
  } finally {
    clearTimeout(heard);
    document.removeEventListener("visibilitychange", hide);
  }
  if (!about.over && about.breaks) await pause(500 * 2 ** about.breaks, about.signal);
}

async function read(about, signal, listen) {
  const headers = { Accept: "text/event-stream", ...(about.last && { "Last-Event-ID": about.last }) };
  const answer = await open(`${about.path}/events`, { signal, headers });
  if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    answer.body?.cancel();
    return instead(about, Infinity);
  }
  well(about);
  about.over = await eventsOf(answer, (each) => {
    if (each.id !== undefined) about.last = each.id;
    if (each.event !== "end") tell(about, JSON.parse(each.data));
  }, listen);
}

// Each event of an answer that goes on. True: it has come to its end; false: it broke off. `heard()`: of each piece.
export async function eventsOf(answer, told, heard = () => {}) {
  let over = false;
  const parse = parser((each) => {
    over ||= each.event === "end";
    told(each);
  });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  while (!over) {
    const part = await reader.read();
    if (part.done) return false;
    heard();
    parse(part.value);
  }
  reader.cancel().catch(() => {});
  return true;
}

function broken(about, began) {
  about.breaks = Date.now() - began < STEADY ? about.breaks + 1 : 0;
  if (about.breaks >= BREAKS) instead(about, POLLS);
}

function instead(about, milliseconds) {
  about.breaks = 0;
  about.polls = Date.now() + milliseconds;
}

// Server-Sent Events out of text that comes in pieces, cut anywhere. `told({id, event, data})` for each; no `id`: it had none.
export function parser(told) {
  let rest = "";
  let afterReturn = false; // a line feed that follows belongs to it
  let event = {};
  const line = (text) => {
    if (!text) {
      if (event.data !== undefined) told({ event: "message", ...event });
      event = {};
      return;
    }
    const [, name, value] = /^([^:]*):? ?([\s\S]*)$/.exec(text);
    if (name === "data") event.data = event.data === undefined ? value : `${event.data}\n${value}`;
    else if (name === "event" || (name === "id" && !value.includes("\0"))) event[name] = value;
  };
  return (text) => {
    if (!text) return;
    const lines = (rest + (afterReturn && text[0] === "\n" ? text.slice(1) : text)).split(/\r\n|\n|\r/);
    afterReturn = text.endsWith("\r");
    rest = lines.pop();
    lines.forEach(line);
  };
}

// ---- instead

async function asked(about) {
  const found = await get(about.path, { signal: about.signal });
  well(about);
  about.last = ""; // what the last event held is no longer what the reader has
  tell(about, found);
  about.over = !about.endless && isOver(found);
  if (!about.over) await pause(moves(found) ? SOON : LATER, about.signal);
}

const ENDED = ["done", "skipped", "failed"];
const parts = (found) => found.items || Object.values(found.steps || {});
const moves = (found) => ("over" in found ? found.state === "running" : false) || parts(found).some((each) => ["running", "scheduled"].includes(each.state));
// As the server decides it (shared/services/watching.py).
const isOver = (found) => found.over ?? (found.items ? found.items.every((each) => ENDED.includes(each.state)) : found.state === "done");

// ---- waiting

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const end = () => (clearTimeout(timer), signal.removeEventListener("abort", end), resolve());
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });
}

// Once the tab is shown; false where `signal` was first.
function shown(signal) {
  if (signal.aborted || !document.hidden) return Promise.resolve(!signal.aborted);
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      resolve(!signal.aborted);
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look, { once: true });
  });
}
