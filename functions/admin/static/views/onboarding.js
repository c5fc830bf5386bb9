// One member's way: each step with its state, in words, and what can be done about it, in place. Moves by itself.
import { get, post } from "../api.js";
import { button, chip, factList, field, fill, h, once, problem, say } from "../dom.js";
import { follow } from "../events.js";
import { namer } from "../rooms.js";
import { fixHere, inOrder, kindOf, next, sentence, STEPS, when, whenAndDate } from "../words.js";

export async function show(place, { id, signal }) {
  const path = `/api/onboardings/${encodeURIComponent(id)}`;
  const [first, name] = await Promise.all([get(path, { signal }), namer()]);
  const head = h("div", {});
  const list = h("ol", { class: "steps" });
  const lost = h("div", {});
  const replies = h("div", {});
  fill(place, head, lost, list, replies);
  const about = { path, name, list, drawn: new Map(), trouble: h("div", {}), acted };
  let [state, shown, following] = ["", "", null];

  function update(found) {
    const key = JSON.stringify([found.state, found.member, found.hold, found.hold_reason, found.finished_at, failures(found)]);
    if (key !== shown) redraw(head, () => fill(head, heading(found, about)));
    if (state && found.state !== state) say(`${found.member.name || "This onboarding"} is ${found.state} now.`);
    [state, shown] = [found.state, key];
    steps(found, about);
    if (found.replies) fill(replies, said(found.replies));
  }

  // What somebody has done here sets things going: looked at anew, and no older answer may come after this one.
  function acted(found) {
    update(found);
    begin();
  }

  function begin() {
    following?.abort();
    following = new AbortController();
    const failed = (error) => fill(lost, error && problem(error));
    follow(path, { signal: AbortSignal.any([signal, following.signal]), told: update, failed });
  }

  update(first);
  begin();
}

const failures = (found) => Object.values(found.steps).filter((step) => step.state === "failed").length;

// Drawn anew around somebody: what had the focus has it again, or what does the same now, or the heading.
function redraw(element, draw) {
  const had = element.contains(document.activeElement) ? document.activeElement : null;
  const place = draw() || element;
  if (!had) return;
  const alike = (each) => each.textContent === had.textContent && !each.hidden;
  const same = had.isConnected ? had : [...place.querySelectorAll(had.tagName)].find(alike);
  (same || place.querySelector("h1, h2"))?.focus({ preventScroll: true });
}

// ---- who

function heading(found, about) {
  const { member } = found;
  const failed = failures(found);
  const all = button(`Retry ${failed === 1 ? "the failed step" : `all ${failed} failed steps`}`, () =>
    once(all, async () => (about.acted(await post(`${about.path}/retry`)), say("Begun again.")), about.trouble), { class: "main" });
  return [
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, member.name || member.username), chip(found.state)),
    h("section", { class: "card" }, factList([
      ["Account", h("a", { href: `#/people/${member.pk}` }, member.username)],
      ["Matrix id", member.matrix_id || "nobody has said which is theirs"],
      ["Logged in", member.has_logged_in === null ? "not looked up yet" : member.has_logged_in ? "yes, to Matrix" : "never, to Matrix"],
      found.personal_line && ["Personal line", found.personal_line],
      found.invite && ["Came by", h("a", { href: `#/invites/${found.invite}` }, "this invite")],
      ["Begun", whenAndDate(found.created_at)],
      found.finished_at && ["At home", whenAndDate(found.finished_at)],
    ]),
    found.hold === "pending" && decision(found, about),
    failed > 0 && found.hold !== "pending" && h("p", { class: "actions" }, all),
    about.trouble,
    found.hold !== "pending" && named(found, about)),
  ];
}

// Kept with what is typed in it, until they are called otherwise.
function named(found, about) {
  const { matrix_id: called } = found.member;
  if (about.naming?.called !== called) about.naming = { called, element: naming(found, about) };
  return about.naming.element;
}

// What waited for it goes on; what was done for another id is done anew.
function naming(found, about) {
  const { member } = found;
  const input = h("input", { name: "matrix_id", maxlength: 255, required: true, autocomplete: "off", placeholder: "@ada:example.org", value: member.matrix_id });
  const trouble = h("div", {});
  const send = h("button", {}, "This is theirs");
  const form = h("form", { onsubmit: (event) => {
    event.preventDefault();
    once(send, async () => {
      const { onboarding } = await post(`/api/users/${member.pk}/onboard`, { matrix_id: input.value.trim() });
      about.acted(onboarding);
      say("Named: what waited for it goes on.");
    }, trouble);
  } }, field("Matrix id", input, "As they are called in their Matrix client."), trouble, h("p", { class: "actions" }, send));
  return h("details", { open: !member.matrix_id }, h("summary", {}, member.matrix_id ? "They have another Matrix id" : "Name their Matrix id"), form);
}

function decision(found, about) {
  const trouble = h("div", {});
  const act = (verb, words) => async () => (about.acted(await post(`${about.path}/${verb}`)), say(words));
  const yes = button("Let them in", () => once(yes, act("approve", "They go on."), trouble), { class: "main" });
  const sure = button("Yes: the account stays closed", () => once(sure, act("reject", "Refused: the account stays deactivated."), trouble), { class: "danger", hidden: true });
  const no = button("Refuse…", () => ((sure.hidden = false), (no.hidden = true), sure.focus()), { class: "danger" });
  return h("div", {}, h("p", {}, h("strong", {}, "Held: "), found.hold_reason || "an admin must decide", ". The account is deactivated meanwhile."), trouble, h("p", { class: "actions" }, yes, no, sure));
}

// ---- steps

// Only what has changed is drawn anew: what is open, what somebody is typing and what went wrong stays.
function steps(found, about) {
  const names = inOrder(found.steps);
  const later = (at) => names.slice(at).filter((name) => ["failed", "waiting"].includes(found.steps[name].state) && !unnamed(found.steps[name]));
  const held = found.state === "held";
  for (const [at, name] of names.entries()) {
    const rest = later(at);
    const key = JSON.stringify([found.steps[name], rest, held]);
    const known = about.drawn.get(name);
    if (known?.key === key) continue;
    const draw = () => {
      const drawn = step(name, found.steps[name], rest, { ...about, held }, known);
      if (known) known.element.replaceWith(drawn.element);
      else about.list.insertBefore(drawn.element, about.list.children[at] || null);
      about.drawn.set(name, { key, state: found.steps[name].state, ...drawn });
      return drawn.element;
    };
    if (known) redraw(known.element, draw);
    else draw();
  }
}

// Until somebody says which Matrix id is theirs, trying again comes to nothing.
const unnamed = (step) => step.state === "waiting" && step.waits_for === "person";
const ACTED_ON = ["failed", "waiting", "scheduled"];

function step(name, data, rest, about, known) {
  const kind = kindOf(name);
  const open = ACTED_ON.includes(data.state) && !about.held;
  const trouble = (open && known?.state === data.state && known.trouble) || h("div", {});
  // What was typed there waits while the step runs, and is there again if it fails once more.
  const skipping = (!["done", "skipped"].includes(data.state) && known?.skipping) || h("div", {});
  skipping.hidden = !open;
  const heading = `${STEPS[kind] || kind}${data.room && ["room", "level", "removal"].includes(kind) ? ` ${about.name(data.room)}` : ""}`;
  const element = h("li", { class: `step is-${data.state}` },
    h("h2", { tabindex: "-1" }, heading, " ", chip(data.state)),
    h("p", {}, sentence(data, about.held)),
    data.fix && h("p", {}, h("strong", {}, "How to fix: "), fixHere(data.fix)),
    h("p", { class: "quiet" }, data.attempts > 0 && `Attempt ${data.attempts}. `, data.next_at && ["scheduled", "waiting"].includes(data.state) && ["Next try ", next(data.next_at), ". "], data.updated_at && ["Changed ", when(data.updated_at), "."]),
    trouble,
    open && actions(name, data, rest, about, trouble, skipping),
    skipping,
    h("details", { class: "raw", open: known?.element.querySelector("details.raw")?.open }, h("summary", { class: "quiet" }, "The record"), h("pre", { tabindex: "0" }, JSON.stringify(data, null, 2))));
  return { element, trouble, skipping };
}

function actions(name, data, rest, about, trouble, skipping) {
  const retry = (names, text, more) => {
    const control = button(text, () => once(control, async () => (about.acted(await post(`${about.path}/retry`, { steps: names })), say("Begun again.")), trouble), more);
    return control;
  };
  const skip = button("Skip…", () => {
    skip.hidden = true;
    fill(skipping, reason(name, about, () => shut(skipping)));
    skipping.querySelector("input").focus();
  }, { class: "skipping", hidden: skipping.hasChildNodes() });
  return h("p", { class: "actions" },
    !unnamed(data) && retry([name], "Retry this step", data.state === "failed" ? { class: "main" } : {}),
    data.state === "failed" && rest.length > 1 && retry(rest, "Retry from here"), skip);
}

function shut(skipping) {
  fill(skipping);
  const skip = skipping.parentElement.querySelector("button.skipping");
  skip.hidden = false;
  skip.focus();
}

function reason(name, about, leave) {
  const why = h("input", { name: "reason", maxlength: 100, required: true, autocomplete: "off" });
  const trouble = h("div", {});
  const send = h("button", {}, "Skip this step");
  return h("form", { onsubmit: (event) => {
    event.preventDefault();
    once(send, async () => {
      about.acted(await post(`${about.path}/skip`, { step: name, reason: why.value.trim() }));
      say("Skipped.");
    }, trouble);
  } }, field("Why", why, "It is kept with the step."), trouble, h("p", { class: "actions" }, send, button("Do not skip it", leave)));
}

// ---- what they wrote

const said = (replies) =>
  replies.length > 0 && h("section", {}, h("h2", {}, "What they wrote to the bot"), h("ul", { class: "rows" }, replies.map((reply) =>
    h("li", {}, reply.text ?? h("em", {}, reply.cause), " ", h("span", { class: "quiet" }, when(reply.at))))));
