// Who did what to whom, when, and with which outcome; the newest first.
import { get } from "../api.js";
import { button, chip, field, fill, h, once, problem } from "../dom.js";
import { ACTS, actInWords, linkOf, sentenceOf, STEP_ACTS, who } from "../audit_words.js";
import { saver } from "../files.js";
import { namer } from "../rooms.js";
import { capital, date, plural } from "../words.js";

const OUTCOMES = [["", "Any"], ["done", "Done"], ["failed", "Failed"], ["skipped", "Skipped"], ["waiting", "Waits"], ["scheduled", "To be tried again"]];
const NAMES = ["actor", "action", "target", "outcome", "from", "to"];
const LABELS = { actor: "by", action: "what:", target: "to", outcome: "result:", from: "from", to: "until" };
const DAY = 864e5;

export async function show(place, { query, signal }) {
  const inputs = controls(query);
  const actors = h("datalist", { id: "audit-actors" }, ["muster", "authentik"].map((value) => h("option", { value })));
  const list = h("ul", { class: "list" });
  const foot = h("div", { class: "actions", role: "status" });
  const send = h("button", { class: "main" }, "Show these");
  const all = button("Show all", () => {
    for (const input of Object.values(inputs)) input.value = "";
    begin();
  });
  const summary = h("summary", {}, "Filter");
  const form = h("form", { onsubmit: (event) => (event.preventDefault(), (box.open = false), summary.focus(), once(send, begin)) },
    h("div", { class: "two" },
      field("Who", inputs.actor, "A username, key:NAME for an API key, muster or authentik."),
      field("What", inputs.action),
      field("To whom", inputs.target, "Exactly: a username, a Matrix id, or the id of an invite, plan or bundle."),
      field("Result", inputs.outcome),
      field("From", inputs.from),
      field("To", inputs.to, "This day counts in.")),
    h("p", { class: "actions" }, send, all, saver("Save as CSV", () => `/api/audit.csv?${asFilters(inputs)}`, "audit.csv")));
  const box = h("details", { class: "box" }, summary, form, actors);
  fill(place, h("div", { class: "head" }, h("h1", {}, "Audit")), box, list, foot);
  const name = await namer();
  let run = 0;

  async function begin() {
    const kept = new URLSearchParams(NAMES.filter((each) => inputs[each].value).map((each) => [each, inputs[each].value]));
    history.replaceState(null, "", `#/audit${kept.size ? `?${kept}` : ""}`);
    const chosen = [...kept].map(([each, value]) => `${LABELS[each]} ${inputs[each].selectedOptions?.[0].textContent.toLowerCase() || value}`);
    fill(summary, chosen.length ? `Filter: ${chosen.join(", ")}` : "Filter");
    fill(list);
    fill(foot, h("p", { class: "quiet" }, "Looking…"));
    await more("", ++run, 0);
  }

  async function more(cursor, mine, seen) {
    try {
      const asked = asFilters(inputs);
      asked.set("limit", 50);
      if (cursor) asked.set("cursor", cursor);
      const page = await get(`/api/audit?${asked}`, { signal });
      if (mine !== run) return;
      list.append(...page.items.map((record) => row(record, name)));
      known(actors, page.items);
      tell(page, mine, seen + page.looked);
    } catch (error) {
      if (mine === run && !signal.aborted) fill(foot, problem(error, () => more(cursor, mine, seen)));
    }
  }

  function tell({ total, next_cursor: cursor }, mine, seen) {
    const many = list.children.length;
    const some = Object.keys(inputs).some((each) => inputs[each].value);
    const text = many === 0 && !cursor ? (some ? "Nothing fits. Take a filter away, or look whether a name is written as in Authentik." : "Nothing has been done yet.")
      : seen > many ? `${plural(many, "record")} found in ${seen.toLocaleString("en")} of ${total.toLocaleString("en")}.` : `${many.toLocaleString("en")} of ${plural(total, "record")}.`;
    const control = cursor && button(seen > many ? "Search on" : "Show more", () => once(control, () => more(cursor, mine, seen)));
    fill(foot, h("p", { class: "quiet" }, text), control);
  }

  await begin();
}

function controls(query) {
  const text = (name, more = {}) => h("input", { name, autocomplete: "off", maxlength: 300, value: query.get(name) || "", ...more });
  const select = (name, groups) => h("select", { name }, groups);
  const option = (name) => ([value, words]) => h("option", { value, selected: (query.get(name) || "") === value }, words);
  const acts = Object.keys(ACTS).map((each) => [each, actInWords(each)]);
  const steps = STEP_ACTS.map((each) => [`step.${each}`, actInWords(`step.${each}`)]);
  return {
    actor: text("actor", { list: "audit-actors", placeholder: "ada" }),
    action: select("action", [option("action")(["", "Anything"]), h("optgroup", { label: "Asked for by somebody" }, acts.map(option("action"))), h("optgroup", { label: "Done by Muster, step by step" }, steps.map(option("action")))]),
    target: text("target"),
    outcome: select("outcome", OUTCOMES.map(option("outcome"))),
    from: text("from", { type: "date" }),
    to: text("to", { type: "date" }),
  };
}

// Days are those of whoever looks, and the last one counts in.
function asFilters(inputs) {
  const value = (name) => inputs[name].value.trim();
  const actor = value("actor");
  const asked = {
    actor: actor && !actor.includes(":") && !["muster", "authentik"].includes(actor) ? `user:${actor}` : actor,
    action: value("action"),
    target: value("target"),
    outcome: value("outcome"),
    since: value("from") && new Date(`${value("from")}T00:00`).toISOString(),
    until: value("to") && new Date(+new Date(`${value("to")}T00:00`) + DAY).toISOString(),
  };
  return new URLSearchParams(Object.entries(asked).filter(([, each]) => each));
}

function known(actors, records) {
  const there = new Set([...actors.children].map((each) => each.value));
  for (const { actor } of records) if (!there.has(actor)) there.add(actor), actors.append(h("option", { value: actor }));
}

const row = (record, name) =>
  h("li", { class: "item" },
    h("p", {}, sentenceOf(record, name), " ", record.outcome !== "done" && chip(record.outcome === "pending" ? "waiting" : record.outcome, capital(record.outcome))),
    h("p", { class: "quiet" }, h("time", { datetime: record.at }, date(record.at)), record.action.startsWith("step.") && record.actor !== "muster" && ` · asked for by ${who(record.actor).replace(/^The /, "the ")}`, record.source && ` · from ${record.source}`),
    h("details", { class: "raw" }, h("summary", { class: "quiet" }, "The record"), h("pre", { tabindex: "0" }, JSON.stringify(record, null, 2)), linkOf(record) && h("p", {}, h("a", { href: linkOf(record) }, "Go to what it is about"))));
