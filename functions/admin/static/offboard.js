// Somebody leaves, in two steps: first what would happen, looked at live; then the doing of it.
import { all, get, post } from "./api.js";
import { button, chip, drafts, field, fill, h, mark, once, refused, say } from "./dom.js";
import { picker } from "./picker.js";
import { namer } from "./rooms.js";
import { tick } from "./user_form.js";
import { capital, kindInWords, plural } from "./words.js";

const WILL = ["scheduled", "pending", "running"];

// `about`: {pk, path, who, standing, signal}
export function offboarding(about) {
  const { pk, path } = about;
  const draft = `offboard.${pk}`;
  const before = drafts.find(draft) || {};
  let key = crypto.randomUUID();
  const trouble = h("div", {});
  const look = h("div", { class: "foreseen" });
  const changed = () => {
    drafts.keep(draft, typed());
    if (look.children.length) fill(look, h("p", { class: "quiet" }, "Something has changed: look again at what would happen."));
  };
  const template = h("select", { name: "template", onchange: () => (chosen(), changed()) }, h("option", { value: "" }, "in my own words"));
  const reason = h("input", { name: "reason", maxlength: 100, autocomplete: "off", value: before.reason ?? "", oninput: changed });
  const message = h("textarea", { name: "message", maxlength: 4000, value: before.message ?? "", oninput: changed });
  const must = tick("Only if this message could be said", before.message_required ?? false, changed);
  const further = h("input", { name: "matrix_ids", autocomplete: "off", value: before.further ?? "", placeholder: "@other:example.org", oninput: changed });
  const stay = picker({ field: "keep_rooms", legend: "Rooms that they stay in", nouns: ["room", "rooms"], search: "Search their rooms", chosen: before.keep_rooms || [], told: changed,
    empty: "They are in no room that the bot knows.", load: () => theirRooms(about) });
  const own = field("Reason", reason, "The homeserver shows it with each removal.");
  const chosen = () => (own.hidden = Boolean(template.value));
  const send = h("button", {}, "Show what would happen");
  const form = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, ask, trouble)) },
    field("Why", template), own, field("Message to them, before", message, "They get it from the bot. It may name {name}, {username}, {date}."), must.element,
    stay.element, field("Further Matrix ids of theirs", further, "Only if you know that these are theirs: they are taken out of rooms as well."), trouble, h("p", { class: "actions" }, send));
  const ids = () => further.value.split(/[\s,;]+/).filter(Boolean);
  const typed = () => ({ template: template.value, reason: reason.value, message: message.value, message_required: must.value(), keep_rooms: stay.value(), further: further.value });
  const body = () => ({ ...(template.value ? { template: template.value } : { reason: reason.value.trim() }), message: message.value.trim(), message_required: must.value(), keep_rooms: stay.value(), matrix_ids: ids() });
  templates(template, before.template).then(chosen);

  async function ask() {
    mark(form);
    if (!template.value && !reason.value.trim()) return mark(form, [{ field: "reason", message: "Say why." }]);
    const wanted = body();
    try {
      const [{ job }, name] = await Promise.all([post(`${path}/offboard?dry_run=true`, wanted, { seconds: 40 }), namer()]);
      key = crypto.randomUUID();
      fill(look, foreseen(job, name, wanted));
      look.querySelector("h3").focus();
    } catch (error) {
      fill(look);
      refused(form, error, trouble);
    }
    return undefined;
  }

  function foreseen(job, name, wanted) {
    const place = h("div", {});
    const will = job.items.filter((each) => WILL.includes(each.state));
    const not = job.items.filter((each) => !WILL.includes(each.state));
    const act = async () => {
      const { job: begun } = await post(`${path}/offboard`, wanted, { key, seconds: 40 });
      drafts.drop(draft);
      say("It has begun.");
      if (!about.signal.aborted) location.hash = `#/jobs/${begun.id}`;
    };
    const doit = button(will.length === 1 ? "Do this one thing" : `Do these ${will.length} things`, () => once(doit, act, place), { class: "danger" });
    return [
      h("h3", { tabindex: "-1" }, `What would happen: ${plural(will.length, "thing")}`),
      h("ul", { class: "rows" }, will.map((each) => h("li", {}, inWords(each, name)))),
      not.length > 0 && [h("h3", {}, `What would not: ${plural(not.length, "thing")}`), h("ul", { class: "rows" }, not.map((each) => h("li", {}, inWords(each, name), " ", chip(each.state),
        h("p", { class: "quiet" }, capital(each.cause || each.result.reason || "there is nothing to do"), ". ", each.fix))))],
      job.message && h("p", {}, "They would be told: ", h("q", {}, job.message)),
      job.notes.map((note) => h("p", { class: "quiet" }, `${capital(note)}.`)),
      place,
      h("p", { class: "actions" }, will.length > 0 && doit),
    ];
  }

  return h("div", {}, form, look);
}

const inWords = (each, name) => (each.room ? `Out of ${name(each.room)}${each.matrix_id ? ` as ${each.matrix_id}` : ""}` : kindInWords(each.kind));

async function theirRooms({ standing, signal }) {
  if (!standing?.matrix_id) return [];
  const { items } = await get(`/api/members/${encodeURIComponent(standing.matrix_id)}/rooms`, { signal });
  return items.map((room) => ({ id: room.room_id, name: room.name, detail: plural(room.members, "member"), text: room.alias }));
}

// Stored reasons are a help: without them there are one's own words.
async function templates(select, wanted) {
  const { items } = await all("/api/removal_reasons", 200).catch(() => ({ items: [] }));
  select.append(...items.map((each) => h("option", { value: each.id, selected: each.id === wanted }, `${each.label}: ${each.reason}`)));
}
