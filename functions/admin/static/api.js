// Muster's API. Every failure becomes a Problem with a cause and a fix; a POST is never sent twice by itself.
import { session } from "./session.js";

export class Problem extends Error {
  constructor(detail, fix = "", more = {}) {
    super(detail);
    Object.assign(this, { name: "Problem", detail, fix, status: 0, errors: [], retryAfter: null }, more);
  }
}

const SECONDS = 20;
const LONGEST_FILE = 290; // seconds
const WORTH_WAITING = 5; // seconds of a Retry-After that a reader is not asked about

export const get = (path, options = {}) => call("GET", path, undefined, options);
// The answer itself, whose body goes on; whoever reads it decides when that is too slow.
export const open = (path, options) => answered("GET", path, undefined, { seconds: 3600, ...options });
export const ask = (path, body, options) => answered("POST", path, body, options);
export const post = (path, body = {}, options = {}) => call("POST", path, body, options);
export const patch = (path, body, options = {}) => call("PATCH", path, body, options);
export const put = (path, body, options = {}) => call("PUT", path, body, options);
export const del = (path, options = {}) => call("DELETE", path, undefined, options);

async function call(method, path, body, options) {
  const answer = await answered(method, path, body, options);
  try {
    return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    throw unreached(method, error, options.seconds ?? SECONDS); // it broke off
  }
}

async function answered(method, path, body, options, attempt = 0) {
  const answer = await sent(method, path, body, options);
  if (answer.status === 401 && attempt === 0 && (await session.renewed())) return answered(method, path, body, options, 1);
  if (answer.status === 429 && method === "GET" && attempt < 2) {
    const after = Number(answer.headers.get("Retry-After") || 1);
    if (after <= WORTH_WAITING) {
      await new Promise((resolve) => setTimeout(resolve, after * 1000));
      return answered(method, path, body, options, attempt + 1);
    }
  }
  if (answer.ok) return answer;
  const found = await problemOf(answer);
  if (answer.status === 401) session.ended("expired");
  throw found;
}

async function sent(method, path, body, { key, seconds = SECONDS, signal, headers: more } = {}) {
  const headers = { Authorization: `Bearer ${await session.token()}`, Accept: "application/json", ...more };
  const file = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = file ? "text/csv" : "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const timeout = AbortSignal.timeout(seconds * 1000);
  try {
    return await fetch(path, {
      method,
      headers,
      body: body === undefined || file ? body : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    throw unreached(method, error, seconds);
  }
}

// Of what was not answered nobody knows whether it was done; with its key, or being a change, it may be sent again.
function unreached(method, error, seconds) {
  if (error.name === "AbortError") return error;
  const again = method === "GET" ? "Try again." : "Nothing is lost: send it again. What was done already is not done twice.";
  if (error.name === "TimeoutError") return new Problem(`Muster did not answer within ${seconds} seconds.`, again);
  if (!navigator.onLine) return new Problem("This device is offline.", "Once it is back online: " + again.toLowerCase());
  return new Problem("Muster cannot be reached.", `Look at your connection. ${again}`);
}

async function problemOf(answer) {
  let body = {};
  try {
    body = await answer.json();
  } catch {
    body = { detail: `Muster answered ${answer.status} without a reason.`, fix: "Try again; it is in the logs." };
  }
  const detail = body.detail ? sentence(body.detail) : body.title;
  const about = { status: answer.status, errors: body.errors || [], retryAfter: body.retry_after ?? null };
  return new Problem(detail, body.fix || fixes[answer.status] || "", about);
}

const fixes = { 401: "Sign in again. What you have typed is kept.", 403: "Ask an admin to add you to the group." };
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// A file, which is written while it is read: `told` hears how many bytes have come. What breaks off is no file.
export async function file(path, told = () => {}, options = {}) {
  const answer = await answered("GET", path, undefined, { seconds: LONGEST_FILE, ...options });
  const parts = [];
  let size = 0;
  try {
    for (const reader = answer.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return new Blob(parts, { type: answer.headers.get("Content-Type") || "" });
      parts.push(value);
      told((size += value.length));
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The file broke off before its end.", "Nothing was saved. Try again.");
  }
}

// Up to `most` items of a list, page by page.
export async function all(path, most = 2000, options = {}) {
  const items = [];
  let cursor = "";
  let total = 0;
  do {
    const join = path.includes("?") ? "&" : "?";
    const page = await get(`${path}${join}limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`, options);
    items.push(...page.items);
    ({ next_cursor: cursor, total } = page);
  } while (cursor && items.length < most);
  return { items, total };
}

// At most `width` at a time, in order; the outcome of each as {value} or {error}.
export async function each(things, act, width = 4, told = () => {}) {
  const outcomes = new Array(things.length);
  let next = 0;
  const worker = async () => {
    while (next < things.length) {
      const at = next++;
      outcomes[at] = await act(things[at]).then((value) => ({ value }), (error) => ({ error }));
      told(at, outcomes[at]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, things.length) }, worker));
  return outcomes;
}
