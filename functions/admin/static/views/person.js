// A member: their account, groups, rooms, onboarding, and what was done to them. Each part stands for itself.
import { del, get, patch, post } from "../api.js";
import { conversation } from "../conversation.js";
import { button, chip, drafts, factList, field, fill, h, mark, once, problem, refused, say, twice } from "../dom.js";
import { recoveryEmail } from "../emailing.js";
import { groupPicker } from "../grants.js";
import { wayIn } from "../handover.js";
import * as parts from "../member_parts.js";
import { offboarding } from "../offboard.js";
import { NAMES } from "../user_form.js";
import { when, whenAndDate } from "../words.js";

const ABOUT = ["organization", "invited_by", "interests", "signal_number", "intro"];
const OURS = ["muster_invite", "muster_user"];

export async function show(place, { id, signal }) {
  const path = `/api/users/${id}`;
  const about = { pk: id, path, signal, read: {}, asked: {}, parts: {} };
  about.read.account = () => get(path, { signal });
  about.read.standing = () => get(`${path}/standing`, { signal });
  const outcomes = await Promise.allSettled([need(about, "account"), need(about, "standing")]);
  if (outcomes.every((each) => each.status === "rejected")) throw outcomes[0].reason;
  about.again = (...names) => again(about, names);
  about.head = h("div", { class: "head" });
  fill(place, about.head,
    part(about, "Account", ["account"], account), part(about, "Their way in", ["account"], access),
    part(about, "Matrix and onboarding", ["standing"], parts.onboarding), part(about, "Conversation", ["standing"], conversation),
    part(about, "Rooms", ["standing"], parts.rooms), part(about, "Signal", [], parts.signal),
    part(about, "Groups", ["account"], groups), part(about, "Bundles", ["standing"], parts.bundles),
    part(about, "What was done to them", [], parts.audit), part(about, "Leaving", [], leaving));
  heading(about);
}

// What parts need is read once for all of them, and again where it could not be.
async function need(about, name) {
  about.asked[name] ??= about.read[name]();
  try {
    about[name] = await about.asked[name];
  } catch (error) {
    about.asked[name] = null;
    throw error;
  }
  about.who = about.account || about.standing;
}

function part(about, title, needs, draw) {
  const body = h("div", { class: "part" }, h("p", { class: "quiet" }, "Reading…"));
  const reading = async () => {
    try {
      await Promise.all(needs.map((name) => need(about, name)));
      const drawn = await draw(about);
      heading(about);
      if (!about.signal.aborted) fill(body, drawn);
    } catch (error) {
      if (!about.signal.aborted) fill(body, problem(error, reading));
    }
  };
  about.parts[title] = { needs, reading };
  reading();
  return h("section", {}, h("h2", {}, title), body);
}

// After a change: what was read is read anew, and the parts that are made from it are drawn anew.
async function again(about, names) {
  for (const name of names) about.asked[name] = null;
  await Promise.all(Object.values(about.parts).filter(({ needs }) => needs.some((each) => names.includes(each))).map(({ reading }) => reading()));
  await Promise.all(["Signal", "What was done to them"].map((title) => about.parts[title].reading()));
}

function heading(about) {
  const { who, standing } = about;
  const h1 = about.head.querySelector("h1") || h("h1", { tabindex: "-1" });
  if (h1.textContent !== (who.name || who.username)) h1.textContent = who.name || who.username;
  if (!h1.parentNode) about.head.append(h1, h("span", {}));
  fill(h1.nextSibling, [chip(who.active ? "good" : "bad", who.active ? "active" : "deactivated"), standing?.superuser && [" ", chip("waiting", "superuser")]]);
}

// ---- the account

function account(about) {
  const { account: one, standing } = about;
  const told = Object.entries(one.attributes).filter(([name]) => !OURS.includes(name) && !ABOUT.includes(name));
  const facts = [
    ["Username", one.username], ["E-mail", one.email || "none"],
    ...ABOUT.filter((name) => one.attributes[name]).map((name) => [NAMES[name], String(one.attributes[name])]),
    ...told.map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]),
    ["Joined", one.joined_at ? whenAndDate(one.joined_at) : "not known"], ["Last login", one.last_login ? when(one.last_login) : "never, in Authentik"],
  ];
  return [
    factList(facts, "stacked"),
    standing?.superuser ? h("p", { class: "quiet" }, "A superuser is changed in Authentik itself.") : editing(about),
  ];
}

function editing(about) {
  const place = h("div", {});
  const box = h("details", {}, h("summary", {}, "Change"), place);
  if (drafts.find(`person.${about.pk}`)) box.open = true;
  box.addEventListener("toggle", () => box.open && !place.children.length && fill(place, form(about)));
  return box;
}

// A field that is emptied takes its attribute away. Numbers and yes or no stay what they were.
function form(about) {
  const { account: one, pk, path } = about;
  const draft = `person.${pk}`;
  const before = drafts.find(draft) || {};
  const scalar = ([name, value]) => !OURS.includes(name) && !ABOUT.includes(name) && (value === null || typeof value !== "object");
  const names = [...ABOUT, ...Object.entries(one.attributes).filter(scalar).map(([name]) => name)];
  const changed = () => drafts.keep(draft, Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value])));
  const made = (name, value, more = {}) => {
    const long = ["interests", "intro"].includes(name);
    return h(long ? "textarea" : "input", { name, value: before[name] ?? value, autocomplete: "off", maxlength: 4000, oninput: changed, ...more });
  };
  const inputs = { name: made("name", one.name, { maxlength: 100, required: true }), email: made("email", one.email, { type: "email", maxlength: 254 }) };
  for (const name of names) inputs[`attributes.${name}`] = made(name, String(one.attributes[name] ?? ""));
  Object.assign(inputs, { newName: made("newName", "", { maxlength: 100 }), newValue: made("newValue", "") });
  const trouble = h("div", {});
  const send = h("button", { class: "main" }, "Save");
  const element = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, save, trouble)) },
    h("div", { class: "two" }, field("Name", inputs.name), field("E-mail", inputs.email), names.map((name) => field(NAMES[name] || name, inputs[`attributes.${name}`]))),
    h("div", { class: "two" }, field("Another attribute", inputs.newName, "Its name in Authentik."), field("Its value", inputs.newValue)), trouble, h("p", { class: "actions" }, send));

  function changes() {
    const attributes = {};
    for (const name of names) {
      const [was, now] = [one.attributes[name], inputs[`attributes.${name}`].value.trim()];
      if (now !== String(was ?? "").trim()) attributes[name] = now === "" ? null : kept(was, now);
    }
    const added = inputs.newName.value.trim();
    if (added) attributes[added] = inputs.newValue.value.trim();
    const wanted = { name: inputs.name.value.trim(), email: inputs.email.value.trim() };
    const fields = Object.fromEntries(Object.entries(wanted).filter(([name, value]) => value !== one[name]));
    return { ...fields, ...(Object.keys(attributes).length && { attributes }) };
  }

  async function save() {
    mark(element);
    const body = changes();
    if (!Object.keys(body).length) return say("Nothing has changed.");
    try {
      await patch(path, body);
      drafts.drop(draft);
      say("Saved.");
      await about.again("account", "standing");
      return about.head.querySelector("h1").focus();
    } catch (error) {
      for (const each of error.errors || []) each.field = each.field.replace(/^attributes\./, "");
      return refused(element, error, trouble);
    }
  }
  return element;
}

function kept(was, now) {
  if (typeof was === "number" && Number.isFinite(Number(now))) return Number(now);
  return typeof was === "boolean" && /^(true|false)$/.test(now) ? now === "true" : now;
}

function access(about) {
  const { account: one, path, standing } = about;
  const [trouble, given] = [h("div", {}), h("div", {})];
  if (standing?.superuser) return h("p", { class: "quiet" }, "A superuser is let in by Authentik alone.");
  const link = async () => {
    const made = await post(`${path}/recovery`);
    fill(given, wayIn(made));
    given.querySelector("input, p")?.focus();
    renew.forEach((each, at) => (each.hidden = at === 1));
    return about.parts["What was done to them"].reading();
  };
  const active = async (verb) => {
    await post(`${path}/${verb}`);
    say(verb === "activate" ? "Activated: they can sign in again." : "Deactivated: they cannot sign in any more.");
    await about.again("account", "standing");
    about.head.querySelector("h1").focus();
  };
  const on = button("Activate", () => once(on, () => active("activate"), trouble), { class: "main" });
  const mail = one.email && one.active && recoveryEmail({ path, to: one.email, signal: about.signal, ended: () => about.parts["What was done to them"].reading() });
  const renew = twice("New recovery link…", "Yes: make one now", link, trouble, {});
  return [
    h("p", { class: "quiet" }, one.active ? "They can sign in. " : "They cannot sign in. ", "A recovery link lets them choose a new password; where Authentik has no recovery flow it is a temporary password, and their old one ends."),
    trouble, given, mail && mail.element,
    h("p", { class: "actions" }, renew, mail && mail.controls, one.active ? twice("Deactivate…", "Yes: they cannot sign in any more", () => active("deactivate"), trouble) : on),
  ];
}

// ---- groups

// What somebody else has changed meanwhile stays: only the difference is sent.
function groups(about) {
  const { account: one, pk, path, standing } = about;
  const list = one.groups.length ? h("ul", { class: "names" }, one.groups.map((name) => h("li", {}, name))) : h("p", { class: "quiet" }, "In no group.");
  if (standing?.superuser) return [list, h("p", { class: "quiet" }, "A superuser's groups are changed in Authentik itself.")];
  const draft = `groups.${pk}`;
  const place = h("div", {});
  const box = h("details", {}, h("summary", {}, "Add or remove"), place);
  const draw = () => {
    const chosen = groupPicker(drafts.find(draft) || one.groups, () => drafts.keep(draft, chosen.value()));
    const trouble = h("div", {});
    const save = async () => {
      const wanted = chosen.value();
      const added = wanted.filter((name) => !one.groups.includes(name));
      const gone = one.groups.filter((name) => !wanted.includes(name));
      if (!added.length && !gone.length) return say("Nothing has changed.");
      const now = await get(path);
      await patch(path, { groups: [...new Set([...now.groups.filter((name) => !gone.includes(name)), ...added])] });
      drafts.drop(draft);
      say("Saved.");
      await about.again("account");
      return about.head.querySelector("h1").focus();
    };
    const send = button("Save the groups", () => once(send, save, trouble), { class: "main" });
    fill(place, chosen.element, trouble, h("p", { class: "actions" }, send));
  };
  if (drafts.find(draft)) box.open = true;
  box.addEventListener("toggle", () => box.open && !place.children.length && draw());
  return [list, box];
}

// ---- leaving

function leaving(about) {
  const folded = (summary, draft, made) => {
    const place = h("div", {});
    const box = h("details", { open: Boolean(draft && drafts.find(draft)) }, h("summary", {}, summary), place);
    box.addEventListener("toggle", () => box.open && !place.children.length && fill(place, made(about)));
    return box;
  };
  return [
    h("p", { class: "quiet" }, "Off-boarding deactivates the account, then takes them out of every room. Deleting takes the account out of Authentik, and nobody out of a room."),
    folded("Off-board them", `offboard.${about.pk}`, offboarding), folded("Delete the account", "", deleting),
  ];
}

function deleting({ path, who, signal }) {
  const input = h("input", { name: "username", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const trouble = h("div", {});
  const send = h("button", { class: "danger" }, "Delete the account");
  const element = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, act, trouble)) },
    field(`Type ${who.username} to confirm`, input, "It cannot be taken back. Are they still in rooms? Off-board them first."), trouble, h("p", { class: "actions" }, send));
  async function act() {
    mark(element);
    if (input.value.trim() !== who.username) return mark(element, [{ field: "username", message: `That is not ${who.username}: nothing was deleted.` }]);
    await del(path);
    if (!signal.aborted) location.hash = "#/people";
    return setTimeout(() => say(`${who.username} is deleted.`), 0);
  }
  return element;
}
