// Parts of a member's page that can be looked at: rooms, onboarding, bundles, audit. Each reads for itself.
import { del, get, post } from "./api.js";
import { sentenceOf } from "./audit_words.js";
import { button, chip, drafts, field, fill, h, mark, once, refused, say, twice } from "./dom.js";
import { JOB_STATES } from "./job.js";
import { bundleInWords, bundlePicker, named } from "./grants.js";
import { namer, picker } from "./rooms.js";
import { tick } from "./user_form.js";
import { inOrder, kindOf, plural, relative, STEPS, when } from "./words.js";

const AT_ONCE = 30;

// ---- rooms

export async function rooms(about) {
  const { matrix_id: id } = about.standing;
  if (!id) return h("p", { class: "quiet" }, "Nobody has said which Matrix id is theirs: name it above.");
  const found = await get(`/api/members/${encodeURIComponent(id)}/rooms`, { signal: about.signal });
  const list = h("ul", { class: "rows" });
  const more = (count) => fill(list, found.items.slice(0, count).map((room) => h("li", {}, h("a", { href: `#/rooms/${encodeURIComponent(room.room_id)}` }, room.name), room.kind === "m.space" && [" ", chip("plain", "space")])));
  const rest = found.items.length > AT_ONCE && button(`Show all ${found.items.length}`, () => (more(found.items.length), rest.remove()));
  more(AT_ONCE);
  const age = found.live ? "as the homeserver says now" : `as of ${relative(Date.now() - found.age_seconds * 1000)}, since the homeserver does not answer`;
  const inRooms = (verb, words) => h("a", { class: "button", href: `#/rooms?${verb}=${encodeURIComponent(id)}` }, words);
  return [
    h("p", { class: "quiet" }, found.items.length ? `${plural(found.items.length, "room")}, ${age}.` : `In none of the bot's rooms, ${age}.`),
    list, h("p", { class: "actions" }, rest, inRooms("for", "Invite to rooms"), found.items.length > 0 && inRooms("out", "Take out of rooms")),
  ];
}

// ---- Matrix id and onboarding

const BY = { admin: "named by an admin", username: "from their username" };

export function onboarding(about) {
  const { standing: { matrix_id: id, matrix_id_given_by: by, matrix_problem: why, onboarding: one, live, age_seconds: age, bridge, invite, sponsor } } = about;
  return [
    !live && h("p", { class: "quiet" }, `As of ${relative(Date.now() - age * 1000)}: Authentik does not answer.`),
    h("dl", { class: "facts" },
      h("dt", {}, "Matrix id"), h("dd", {}, id ? [h("code", {}, id), h("span", { class: "quiet" }, ` · ${BY[by]}${one || by === "admin" ? "" : ": would be used"}`), bridge && [" ", chip("plain", `by ${bridge}`)]] : `not known: ${why}`),
      h("dt", {}, "Onboarding"), h("dd", {}, one ? [h("a", { href: `#/onboardings/${one.id}` }, "Step by step"), " ", chip(one.state), h("span", { class: "quiet" }, " begun ", when(one.created_at), one.hold === "pending" && ` · ${one.hold_reason}`)] : "none yet"),
      invite && [h("dt", {}, "Vouched for by"), h("dd", {}, sponsor || "nobody", h("span", { class: "quiet" }, " · ", h("a", { href: `#/invites/${encodeURIComponent(invite)}` }, "the invite")))]),
    h("details", { open: !id || Boolean(drafts.find(`onboard.${about.pk}`)) }, h("summary", {}, one ? "Give more rooms or bundles, or name their Matrix id" : "Bring them in"), bringing(about)),
  ];
}

// For who is there: begins an onboarding, or goes on with theirs.
function bringing(about) {
  const { path, standing, signal } = about;
  const one = standing.onboarding;
  const draft = `onboard.${about.pk}`;
  const before = drafts.find(draft) || {};
  const changed = () => drafts.keep(draft, { send_welcome: welcome.value(), skip_indoc_removal: stay.value(), ...body() });
  const input = h("input", { name: "matrix_id", maxlength: 255, autocomplete: "off", autocapitalize: "none", value: before.matrix_id ?? "", placeholder: standing.matrix_id || "@ada:example.org", oninput: () => changed() });
  const place = picker(before.rooms || [], () => changed());
  const bundles = bundlePicker(before.bundles || [], () => changed());
  const welcome = tick("Send the welcome", before.send_welcome ?? true, () => changed());
  const stay = tick("Leave them in INDOC", before.skip_indoc_removal ?? false, () => changed());
  const [trouble, foreseen] = [h("div", {}), h("div", { role: "status" })];
  const send = h("button", { class: "main" }, one ? "Go on with this" : "Bring them in");
  const body = () => ({ ...(input.value.trim() && { matrix_id: input.value.trim() }), rooms: place.value(), bundles: bundles.value(), ...(!one && { send_welcome: welcome.value(), skip_indoc_removal: stay.value() }) });
  const form = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, act, trouble)) },
    field("Matrix id", input, standing.matrix_id ? `Left empty, it is ${standing.matrix_id}.` : "As they are called in their Matrix client."), place.element, bundles.element,
    !one && h("fieldset", { class: "field" }, h("legend", {}, "On the way"), welcome.element, stay.element), foreseen, trouble);
  const tryOut = button("Show what would happen", () => once(tryOut, show, trouble));
  form.append(h("p", { class: "actions" }, send, tryOut));

  async function act() {
    mark(form);
    try {
      const { onboarding: begun } = await post(`${path}/onboard`, body());
      drafts.drop(draft);
      say(one ? "Their onboarding goes on." : "Their onboarding has begun.");
      if (!signal.aborted) location.hash = `#/onboardings/${begun.id}`;
    } catch (error) {
      refused(form, error, trouble);
    }
  }

  async function show() {
    mark(form);
    try {
      const [{ onboarding: it }, name] = await Promise.all([post(`${path}/onboard?dry_run=true`, body(), { signal }), namer()]);
      const steps = inOrder(it.steps).filter((each) => !["done", "skipped"].includes(it.steps[each].state));
      fill(foreseen, h("p", {}, steps.length ? `${plural(steps.length, "step")} as ${it.member.matrix_id || "nobody yet: their Matrix id is not known"}:` : "Nothing would happen: all of it is done."),
        h("ul", { class: "rows" }, steps.map((each) => h("li", {}, `${STEPS[kindOf(each)] || each} ${it.steps[each].room ? name(it.steps[each].room) : ""}`))));
    } catch (error) {
      refused(form, error, trouble);
    }
  }

  return form;
}

// ---- Signal

// By the number of their account: one button, and how far it has come.
export async function signal(about) {
  const path = `${about.path}/signal`;
  const it = await get(path, { signal: about.signal });
  if (!it.set_up) return h("p", { class: "quiet" }, it.number ? `Their number is ${it.number}. ` : "", "Nobody can be written to on Signal here: no Signal bridge is set up.");
  if (it.problem) return h("p", {}, `The Signal number of their account cannot be used: ${it.problem}. Change it under Account.`);
  if (!it.number) return h("p", { class: "quiet" }, "No Signal number is known of them: enter it under Account, then they can be written to.");
  const job = it.job && [h("a", { href: `#/jobs/${encodeURIComponent(it.job)}` }, it.state === "failed" ? "What went wrong" : "How it went"), " ", chip(it.state, JOB_STATES[it.state])];
  const open = it.room_id && it.state !== "failed";
  const moving = ["running", "waiting"].includes(it.state);
  const trouble = h("div", {});
  const key = crypto.randomUUID();
  const write = async () => {
    const { job: begun } = await post(path, {}, { key });
    say("It has begun.");
    if (!about.signal.aborted) location.hash = `#/jobs/${begun.id}`;
  };
  const press = button(it.state === "failed" ? "Try again" : "Write to them on Signal", () => once(press, write, trouble));
  return [
    h("p", {}, open ? ["The bot has a chat with them there", it.name && [", as ", h("strong", {}, it.name)], ". "] : moving ? "A chat with them is being opened. " : it.state === "failed" ? "A chat with them could not be opened. " : ["The bot opens a chat with ", h("span", { class: "number" }, it.number), " and says hello there. "], job),
    open && h("p", { class: "quiet" }, h("code", {}, it.matrix_id), ` · by ${it.bridge || "a bridge"}`),
    trouble, !open && !moving && h("p", { class: "actions" }, press),
  ];
}

// ---- bundles

export async function bundles(about) {
  const ids = about.standing.onboarding?.bundles || [];
  if (!ids.length) return h("p", { class: "quiet" }, "None was given to them. What a bundle gives to a group of theirs they have all the same.");
  const [{ bundles: found, group }, room] = await Promise.all([named({ bundles: ids }), namer()]);
  return [
    h("ul", { class: "rows" }, found.map((bundle) => {
      const trouble = h("div", {});
      const act = async () => {
        await del(`${about.path}/bundles/${encodeURIComponent(bundle.id)}`);
        say(`${bundle.name} is taken away.`);
        await about.again("standing");
      };
      return h("li", {}, bundleInWords(bundle, room, group), trouble, h("p", { class: "actions" }, twice("Take it away…", `Yes: take ${bundle.name} away`, act, trouble)));
    })),
    h("p", { class: "quiet" }, "Nobody is moved by it: ", h("a", { href: "#/plans" }, "a plan"), " shows who would leave which room."),
  ];
}

// ---- audit

// Under their username and under their Matrix id: acts in rooms know only that.
export async function audit(about) {
  const { username, matrix_id: id } = { ...about.who, ...about.standing };
  const targets = [...new Set([username, id].filter(Boolean))];
  const [name, ...pages] = await Promise.all([namer(), ...targets.map((target) => get(`/api/audit?target=${encodeURIComponent(target)}&limit=20`, { signal: about.signal }))]);
  const found = pages.flatMap((page) => page.items).sort((a, b) => b.at.localeCompare(a.at) || b.id.localeCompare(a.id));
  const total = pages.reduce((sum, page) => sum + page.total, 0);
  if (!total) return h("p", { class: "quiet" }, "Nothing has been done to them by Muster yet.");
  return [
    h("ul", { class: "rows" }, found.slice(0, 20).map((each) => h("li", {}, sentenceOf(each, name), h("span", { class: "quiet" }, " ", when(each.at), each.source && ` from ${each.source}`),
      h("details", { class: "raw" }, h("summary", { class: "quiet" }, "The record"), h("pre", { tabindex: "0" }, JSON.stringify(each, null, 2)))))),
    total > 20 && h("p", {}, targets.map((target) => [h("a", { href: `#/audit?target=${encodeURIComponent(target)}` }, `All of ${target}`), " "])),
  ];
}
