// What the bot and a member have said to each other, the newest at the bottom; moves by itself, and an admin answers from here.
import { get, post } from "./api.js";
import { who } from "./audit_words.js";
import { button, chip, drafts, field, fill, h, mark, once, problem, refused, say } from "./dom.js";
import { follow } from "./events.js";
import { capital, date, next, plural, when } from "./words.js";

const NEAR = 40; // pixels from the end: whoever is there goes along with what comes
const KINDS = { hello: "hello", welcome: "welcome", notice: "the unencrypted notice", removal_message: "before a removal" };
const STATES = { pending: "waits", scheduled: "on its way", running: "on its way", waiting: "waits", failed: "not sent", skipped: "not sent", unknown: "not known" };

export async function conversation(about) {
  const { standing: { matrix_id: id, name, username }, pk } = about;
  if (!id) return h("p", { class: "quiet" }, "Nobody knows yet which Matrix id is theirs: once it is named above, you can write to them here.");
  about.talking?.abort(); // drawn anew: the one before no longer listens
  about.talking = new AbortController();
  const signal = AbortSignal.any([about.signal, about.talking.signal]);
  const path = `/api/members/${encodeURIComponent(id)}/conversation`;
  const talk = { path, signal, them: name || username, known: new Map(), drawn: new Map(), cursor: null, deeper: false };
  talk.list = h("ol", {});
  talk.box = h("div", { class: "talk", role: "log", tabindex: "0", "aria-label": "Messages" }, talk.list);
  talk.empty = h("p", { class: "quiet", hidden: true }, "Nothing has been said yet. What you write here is said by the bot, in a direct room with them.");
  [talk.trouble, talk.lost] = [h("div", {}), h("div", {})];
  talk.older = button("Load older", () => once(talk.older, () => older(talk), talk.trouble), { hidden: true });
  update(talk, await get(path, { signal }));
  follow(path, { signal, told: (page) => update(talk, page), failed: (error) => fill(talk.lost, error && problem(error)), endless: true });
  setTimeout(() => (talk.box.scrollTop = talk.box.scrollHeight)); // once it is drawn
  return [h("p", { class: "actions" }, talk.older), talk.trouble, talk.empty, talk.box, talk.lost, answering(talk, pk)];
}

// The first page as it is now; what was loaded before it stays.
function update(talk, page) {
  if (!talk.deeper) talk.cursor = page.next_cursor;
  for (const each of page.items) talk.known.set(each.id, each);
  const follows = talk.box.scrollHeight - talk.box.scrollTop - talk.box.clientHeight < NEAR;
  draw(talk);
  if (follows) talk.box.scrollTop = talk.box.scrollHeight;
}

async function older(talk) {
  const page = await get(`${talk.path}?cursor=${encodeURIComponent(talk.cursor)}`, { signal: talk.signal });
  for (const each of page.items) if (!talk.known.has(each.id)) talk.known.set(each.id, each);
  [talk.cursor, talk.deeper] = [page.next_cursor, true];
  const below = talk.box.scrollHeight - talk.box.scrollTop;
  draw(talk);
  talk.box.scrollTop = talk.box.scrollHeight - below; // what was looked at stays where it is
  if (talk.older.hidden) talk.box.focus({ preventScroll: true });
}

// What is the same stays where it is: what is open stays open, and what has the focus keeps it.
function draw(talk) {
  const shown = [...talk.known.values()].sort((a, b) => a.at.localeCompare(b.at) || a.id.localeCompare(b.id));
  shown.forEach((said, at) => {
    const key = JSON.stringify(said);
    const before = talk.drawn.get(said.id);
    const element = before?.key === key ? before.element : message(said, talk, before?.element);
    if (before && before.element !== element) before.element.remove();
    talk.drawn.set(said.id, { key, element });
    if (talk.list.children[at] !== element) talk.list.insertBefore(element, talk.list.children[at] || null);
  });
  talk.older.hidden = !talk.cursor;
  talk.empty.hidden = shown.length > 0;
  talk.box.hidden = !shown.length;
}

// ---- one message

function message(said, talk, before) {
  const out = said.direction === "out";
  const author = !out ? talk.them : said.by === "muster" ? "Muster" : `${who(said.by)}, as Muster`;
  return h("li", { class: `said is-${said.direction}` },
    h("p", { class: "words" }, said.text ?? h("em", {}, `${capital(said.cause)}.`)),
    said.text !== null && !out && said.cause && h("p", { class: "quiet" }, `${capital(said.cause)}.`),
    out && said.state !== "sent" && fate(said, talk),
    h("p", { class: "quiet" }, [author, inWords(said.template) || KINDS[said.kind]].filter(Boolean).join(" · "), " · ", when(said.at)),
    out && said.state === "sent" && readers(said, before));
}

const inWords = (template) => {
  const [name, version] = template.split("@");
  if (!version) return "";
  return version === "0" ? `built-in text “${name}”` : `template “${name}”, version ${version}`;
};

function readers(said, before) {
  if (!said.devices) return h("p", { class: "quiet" }, said.encrypted ? "Encrypted." : "Not encrypted.");
  const none = said.devices.length ? "" : " of theirs";
  return h("details", { open: before?.querySelector("details")?.open }, h("summary", { class: "quiet" }, `Readable on ${plural(said.devices.length, "device")}${none}`),
    h("ul", { class: "rows" },
      said.devices.map((each) => h("li", {}, each.name || each.device_id, each.name && h("span", { class: "quiet" }, ` ${each.device_id}`), each.since && h("span", { class: "quiet" }, `, since ${date(each.since)}`))),
      said.missed.map((each) => h("li", {}, `Not on ${each.device_id || "any device"}: ${each.reason}.`))));
}

// Of one that has not reached them: why, and what to do.
function fate(said, talk) {
  const trouble = h("div", {});
  const again = said.state === "failed" && said.job && button("Try again", () => once(again, async () => {
    await post(`/api/jobs/${encodeURIComponent(said.job)}/retry`);
    say("Begun again.");
    update(talk, await get(talk.path, { signal: talk.signal }));
  }, trouble));
  const known = said.text !== null && said.cause && `${capital(said.cause)}. `;
  return h("div", { class: "fate" }, h("p", {}, chip(said.state, STATES[said.state]), " ", known, said.fix && [h("strong", {}, "How to fix: "), said.fix, " "], said.state === "waiting" && said.next_at && ["Next look ", next(said.next_at), "."]),
    trouble, again && h("p", { class: "actions" }, again));
}

// ---- an answer

// Kept with the draft: the same words under the same key are the same answer, also for who has left and come back.
function answering(talk, pk) {
  const draft = `answer.${pk}`;
  let { key, sent = "", text: typed = "" } = drafts.find(draft) || {};
  const keep = () => drafts.keep(draft, { text: text.value, key, sent });
  const text = h("textarea", { name: "text", maxlength: 4000, value: typed, oninput: keep });
  const trouble = h("div", {});
  const send = h("button", { class: "main" }, "Send");
  const form = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, act, trouble)) },
    field("Answer as Muster", text, "The bot says it in their direct room, encrypted where that is. The audit has your name. *Stars* and {display_name} work as in templates."), trouble, h("p", { class: "actions" }, send));

  async function act() {
    mark(form);
    const words = text.value.trim();
    if (!words) return mark(form, [{ field: "text", message: "Write something first." }]);
    if (!key || sent !== words) [key, sent] = [crypto.randomUUID(), words];
    keep();
    try {
      await post(talk.path, { text: words }, { key });
    } catch (error) {
      return refused(form, error, trouble);
    }
    [key, sent] = ["", ""]; // the same words once more are another answer
    if (text.value.trim() === words) text.value = "";
    if (text.value) keep();
    else drafts.drop(draft);
    say("It is on its way.");
    text.focus();
    talk.box.scrollTop = talk.box.scrollHeight;
    return get(talk.path, { signal: talk.signal }).then((page) => update(talk, page), () => {}); // or the next event shows it
  }
  return form;
}
