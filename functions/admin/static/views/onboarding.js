// One member's way: each step with its state, in words, and what can be done about it, in place. Moves by itself.
import { get, post } from "../api.js";
import { button, chip, field, fill, h, once, problem, say } from "../dom.js";
import { namer } from "../rooms.js";
import { fixHere, inOrder, kindOf, sentence, STEPS, when, whenAndDate } from "../words.js";

const SOON = 2000;
const LATER = 15_000;

export async function show(place, { id, signal }) {
  const path = `/api/onboardings/${encodeURIComponent(id)}`;
  const [first, name] = await Promise.all([get(path, { signal }), namer()]);
  const head = h("div", {});
  const list = h("ol", { class: "steps" });
  const trouble = h("div", {});
  const replies = h("div", {});
  fill(place, head, trouble, list, replies);
  const about = { path, name, list, drawn: new Map(), update };
  let state = "";

  function update(found) {
    const key = JSON.stringify([found.state, found.member, found.hold, found.hold_reason, found.finished_at]);
    if (key !== state) fill(head, heading(found, about, () => trouble));
    if (state && found.state !== JSON.parse(state)[0]) say(`${found.member.name || "This onboarding"} is ${found.state} now.`);
    state = key;
    steps(found, about);
    if (found.replies) fill(replies, said(found.replies));
    about.last = found;
    about.wake?.();
  }

  update(first);
  poll(about, trouble, signal);
}

// As long as something moves: every two seconds; else now and then; never in a tab that nobody sees.
async function poll(about, trouble, signal) {
  let faults = 0;
  while (!signal.aborted && !["done"].includes(about.last.state)) {
    await pause(about, faults);
    if (signal.aborted || document.hidden) continue;
    try {
      about.update(await get(about.path, { signal }));
      if (faults) fill(trouble);
      faults = 0;
    } catch (error) {
      if (signal.aborted) return;
      faults = Math.min(faults + 1, 10);
      fill(trouble, problem(error));
    }
  }
}

// Cut short by what somebody does here: its outcome is seconds away.
function pause(about, faults) {
  const moves = Object.values(about.last.steps).some((step) => ["running", "scheduled"].includes(step.state));
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, (moves ? SOON : LATER) * (faults + 1));
    about.wake = () => (clearTimeout(timer), setTimeout(resolve, SOON));
  });
}

// ---- who

function heading(found, about, trouble) {
  const { member } = found;
  const failed = Object.values(found.steps).filter((step) => step.state === "failed").length;
  const all = button(`Retry ${failed === 1 ? "the failed step" : `all ${failed} failed steps`}`, () =>
    once(all, async () => (about.update(await post(`${about.path}/retry`)), say("Begun again.")), trouble()), { class: "main" });
  return [
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, member.name || member.username), chip(found.state)),
    h("section", { class: "card" }, h("dl", { class: "facts" }, [
      ["Account", h("a", { href: `#/people/${member.pk}` }, member.username)],
      ["Matrix id", member.matrix_id || "nobody has said which is theirs"],
      ["Logged in", member.has_logged_in === null ? "not looked up yet" : member.has_logged_in ? "yes, to Matrix" : "never, to Matrix"],
      found.invite && ["Came by", h("a", { href: `#/invites/${found.invite}` }, "this invite")],
      ["Begun", whenAndDate(found.created_at)],
      found.finished_at && ["At home", whenAndDate(found.finished_at)],
    ].filter(Boolean).flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])),
    found.hold === "pending" && decision(found, about),
    failed > 0 && h("p", { class: "actions" }, all),
    found.hold !== "pending" && naming(found, about)),
  ];
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
      input.blur();
      about.update(onboarding);
      say("Named: what waited for it goes on.");
    }, trouble);
  } }, field("Matrix id", input, "As they are called in their Matrix client."), trouble, h("p", { class: "actions" }, send));
  return h("details", { open: !member.matrix_id }, h("summary", {}, member.matrix_id ? "They have another Matrix id" : "Name their Matrix id"), form);
}

function decision(found, about) {
  const trouble = h("div", {});
  const act = (verb, words) => async () => (about.update(await post(`${about.path}/${verb}`)), say(words));
  const yes = button("Let them in", () => once(yes, act("approve", "They go on."), trouble), { class: "main" });
  const sure = button("Yes: the account stays closed", () => once(sure, act("reject", "Refused: the account stays deactivated."), trouble), { class: "danger", hidden: true });
  const no = button("Refuse…", () => ((sure.hidden = false), (no.hidden = true), sure.focus()), { class: "danger" });
  return h("div", {}, h("p", {}, h("strong", {}, "Held: "), found.hold_reason || "an admin must decide", ". The account is deactivated meanwhile."), trouble, h("p", { class: "actions" }, yes, no, sure));
}

// ---- steps

// Only what has changed is drawn anew: what is open, and what somebody is typing, stays.
function steps(found, about) {
  const names = inOrder(found.steps);
  const later = (at) => names.slice(at).filter((name) => ["failed", "waiting"].includes(found.steps[name].state));
  for (const [at, name] of names.entries()) {
    const rest = later(at);
    const held = found.state === "held";
    const key = JSON.stringify([found.steps[name], rest.length, held]);
    const known = about.drawn.get(name);
    if (known?.key === key || known?.element.contains(document.activeElement?.closest("input"))) continue;
    const open = known?.element.querySelector("details.raw")?.open;
    const focused = known?.element.contains(document.activeElement);
    const element = step(name, found.steps[name], rest, { ...about, held }, open);
    if (known) known.element.replaceWith(element);
    else about.list.append(element);
    if (focused) element.querySelector("h2").focus();
    about.drawn.set(name, { key, element });
  }
}

function step(name, data, rest, about, open) {
  const trouble = h("div", {});
  const kind = kindOf(name);
  const heading = `${STEPS[kind] || kind}${data.room && ["room", "level", "removal"].includes(kind) ? ` ${about.name(data.room)}` : ""}`;
  return h("li", { class: `step is-${data.state}` },
    h("h2", { tabindex: "-1" }, heading, chip(data.state)),
    h("p", {}, sentence(data, about.held)),
    data.fix && h("p", {}, h("strong", {}, "How to fix: "), fixHere(data.fix)),
    h("p", { class: "quiet" }, data.attempts > 0 && `Attempt ${data.attempts}. `, data.next_at && ["scheduled", "waiting"].includes(data.state) && ["Next try ", when(data.next_at), ". "], data.updated_at && ["Changed ", when(data.updated_at), "."]),
    trouble,
    actions(name, data, rest, about, trouble),
    h("details", { class: "raw", open }, h("summary", { class: "quiet" }, "The record"), h("pre", { tabindex: "0" }, JSON.stringify(data, null, 2))));
}

function actions(name, data, rest, about, trouble) {
  if (!["failed", "waiting", "scheduled"].includes(data.state)) return null;
  const retry = (names, text, more) => {
    const control = button(text, () => once(control, async () => (about.update(await post(`${about.path}/retry`, { steps: names })), say("Begun again.")), trouble), more);
    return control;
  };
  const place = h("div", {});
  const skip = button("Skip…", () => {
    skip.hidden = true;
    fill(place, skipping(name, about));
    place.querySelector("input").focus();
  });
  return [
    h("p", { class: "actions" }, retry([name], "Retry this step", data.state === "failed" ? { class: "main" } : {}),
      data.state === "failed" && rest.length > 1 && retry(rest, "Retry from here"), skip),
    place,
  ];
}

function skipping(name, about) {
  const reason = h("input", { name: "reason", maxlength: 100, required: true, autocomplete: "off" });
  const trouble = h("div", {});
  const send = h("button", {}, "Skip this step");
  return h("form", { onsubmit: (event) => {
    event.preventDefault();
    once(send, async () => {
      const found = await post(`${about.path}/skip`, { step: name, reason: reason.value.trim() });
      about.drawn.delete(name);
      reason.blur();
      fill(about.list);
      about.drawn.clear();
      about.update(found);
      say("Skipped.");
    }, trouble);
  } }, field("Why", reason, "It is kept with the step."), trouble, h("p", { class: "actions" }, send));
}

// ---- what they wrote

const said = (replies) =>
  replies.length > 0 && h("section", {}, h("h2", {}, "What they wrote to the bot"), h("ul", { class: "rows" }, replies.map((reply) =>
    h("li", {}, reply.text ?? h("em", {}, reply.cause), " ", h("span", { class: "quiet" }, when(reply.at))))));
