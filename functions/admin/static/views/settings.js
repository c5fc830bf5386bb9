// Every setting: what it is for, what it is, where it comes from; what is wrong comes first. Secrets are set, or not.
import { get } from "../api.js";
import { chip, fill, h } from "../dom.js";
import { capital, plural } from "../words.js";

const CONCERNS = {
  authentik: "Authentik",
  webhook: "Authentik's webhook",
  admin: "This page and its API",
  matrix: "Matrix",
  onboarding: "Bringing members in",
  assistant: "The assistant, where there is one",
  store: "Storage",
  tasks: "Tasks and schedules",
  mail: "E-mail",
  watch: "Traces and costs",
  stack: "This installation",
};
const SOURCES = { environment: "from the environment", ".env": "from .env", default: "by default", nowhere: "not set" };

export async function show(place, { signal }) {
  const [{ items }, assistant] = await Promise.all([get("/api/settings", { signal }), get("/api/assistant", { signal }).catch(() => null)]);
  const notes = { assistant: assistant && used(assistant) };
  const wrong = items.filter((item) => !item.ok);
  const found = h("div", {});
  const count = h("p", { class: "hint", role: "status" });
  const search = h("input", { type: "search", id: "settings-search", autocomplete: "off", placeholder: "Name or what it is for", oninput: () => draw() });

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = items.filter((item) => words.every((word) => `${item.name} ${item.about} ${item.value || ""} ${CONCERNS[item.concern]}`.toLowerCase().includes(word)));
    count.textContent = words.length ? `${plural(fits.length, "setting")} found.` : `${plural(items.length, "setting")}.`;
    fill(found, Object.entries(CONCERNS).map(([concern, title]) => group(title, fits.filter((item) => item.concern === concern), notes[concern])));
  }

  fill(place,
    h("div", { class: "head" }, h("h1", {}, wrong.length ? `${plural(wrong.length, "setting")} ${wrong.length === 1 ? "needs" : "need"} you` : "Settings"),
      !wrong.length && chip("good", "All valid")),
    h("p", { class: "quiet" }, "They are changed where Muster is deployed, not here. Whether they also work, the ", h("a", { href: "#/self-check" }, "self-check"), " says."),
    wrong.length > 0 && h("section", { class: "card needs" }, h("h2", {}, "What is wrong"), h("ul", { class: "rows" }, wrong.map(problemOf))),
    h("div", { class: "field" }, h("label", { for: search.id }, "Search settings"), search, count),
    found);
  draw();
}

const problemOf = (item) =>
  h("li", {}, h("p", {}, h("strong", {}, `${item.problem}.`)), h("p", {}, item.fix));

// What the assistant is up to; of a problem with its settings the top of the page tells.
const used = ({ on, host, model, tokens, cap, requests }) =>
  on
    ? h("p", {}, chip("good", "On"), ` ${model} at ${host}. This month: ${tokens.toLocaleString("en")} of ${cap.toLocaleString("en")} tokens, in ${plural(requests, "request")}.`)
    : h("p", {}, chip("plain", "Off"), " People are welcomed by the template alone.");

const group = (title, items, note) =>
  items.length > 0 && h("section", { class: "card" }, h("h2", {}, title), note, h("ul", { class: "rows settings" }, items.map(row)));

const row = (item) =>
  h("li", {},
    h("h3", {}, h("code", {}, item.name), state(item)),
    h("p", {}, item.about, item.required && h("span", { class: "quiet" }, " (needed)")),
    value(item));

function state(item) {
  if (!item.ok) return chip("bad", item.is_set ? "Not valid" : "Missing");
  if (item.is_set) return chip("good", item.secret ? "Secret, set" : "Set");
  return chip("plain", item.source === "default" ? "Default" : "Not set");
}

function value(item) {
  const from = item.source === "secret manager" ? `from Secret Manager, version ${item.version}` : SOURCES[item.source];
  if (!item.secret && item.value) return h("p", {}, h("code", {}, item.value), h("span", { class: "quiet" }, ` ${from}`, was(item)));
  if (item.secret && !item.is_set && item.ok) return h("p", { class: "quiet" }, "Not given to this function. Others may have it: each gets only the secrets that it reads.");
  if (!item.is_set) return item.ok ? null : h("p", { class: "quiet" }, item.fix);
  return h("p", { class: "quiet" }, `${capital(from)}.`);
}

const was = (item) => item.is_set && item.default && `, the default is ${item.default}`;
