// A record of the audit as a sentence, and the way to what it is about.
import { h } from "./dom.js";
import { capital, kindInWords } from "./words.js";

// By name of the act: what follows who did it, and comes before whom it was done to.
export const ACTS = {
  "invite.create": "made the invite",
  "invite.edit": "changed the invite",
  "invite.revoke": "revoked the invite",
  "sponsor.pause": "paused the invites of",
  "sponsor.resume": "resumed the invites of",
  "invite.email": "sent by e-mail the invite",
  "user.create": "made the account of",
  "user.edit": "changed the account of",
  "user.activate": "activated the account of",
  "user.deactivate": "deactivated the account of",
  "user.recovery": "made a recovery link for",
  "user.recovery.email": "sent a recovery link by e-mail to",
  "user.delete": "deleted the account of",
  "user.offboard": "began to take out of the community:",
  "user.signal": "wrote on Signal to",
  "user.bundle.take": "took a bundle from",
  "matrix_id.vouch": "named the Matrix id of",
  "member.forget": "deleted what was kept of",
  "onboarding.begin": "began to bring in",
  "onboarding.retry": "tried again, for",
  "onboarding.resume": "went on with",
  "onboarding.skip": "skipped a step of",
  "onboarding.approve": "let in",
  "onboarding.reject": "refused",
  "onboarding.stop": "stopped bringing in",
  "rooms.invite": "invited to rooms:",
  "rooms.remove": "removed from rooms:",
  "member.answer": "answered",
  "indoc.pause": "stopped the clock of INDOC for",
  "indoc.resume": "let the clock of INDOC run again for",
  "bundle.create": "made the bundle",
  "bundle.change": "changed the bundle",
  "bundle.delete": "deleted the bundle",
  "plan.create": "made the plan",
  "plan.apply": "applied the plan",
  "plan.undo": "undid the plan",
  "import.users": "imported members:",
  "import.invites": "imported invites:",
  "assistant.suggest": "asked the assistant for a line, at",
  "category.create": "made the category",
  "category.edit": "changed the category",
  "category.delete": "deleted the category",
  "removal_reason.put": "stored the reason",
  "removal_reason.delete": "deleted the reason",
  "sync.start": "asked for a sync of",
  export: "exported",
  "webhook.known": "told once more of",
  "webhook.ignored": "sent an event that changed nothing, of",
};

// What Muster itself did, step by step.
export const STEP_ACTS = ["room", "level", "removal", "groups", "activate", "deactivate", "invitation", "hello", "welcome", "sponsor_note", "indoc_farewell", "indoc_removal", "import", "signal_room", "email"];
export const actInWords = (action) => (action.startsWith("step.") ? capital(kindInWords(action.slice(5))) : capital((ACTS[action] || action).replace(/(:| of| for| at|,)+$/, "")));

const OUTCOMES = { done: "", failed: ": failed", skipped: ": skipped", waiting: ": waits", scheduled: ": to be tried again", pending: ": waits" };

export function who(actor) {
  if (actor.startsWith("key:")) return `The API key ${actor.slice(4)}`;
  if (actor.startsWith("user:")) return actor.slice(5);
  return { muster: "Muster", authentik: "Authentik" }[actor] || actor;
}

// `name`: a room by what it is called.
export function sentenceOf(record, name) {
  const { action, target, detail, outcome } = record;
  if (action.startsWith("step.")) {
    const room = detail.room ? ` ${name(detail.room)}` : "";
    const words = room && ["room", "level", "removal"].includes(action.slice(5)) ? { room: "Invite to", level: "Power level in", removal: "Out of" }[action.slice(5)] + room : kindInWords(action.slice(5));
    const cause = detail.cause && outcome !== "done" ? `: ${detail.cause}` : "";
    return [h("strong", {}, capital(words)), ", for ", aim(record), OUTCOMES[outcome] ?? `: ${outcome}`, cause, "."];
  }
  const label = detail.label || detail.name;
  const known = ACTS[action];
  if (!target && known) return [h("strong", {}, who(record.actor)), ` ${known.replace(/,? \S+$/, "")}`, detail.reason && `: ${detail.reason}`, "."];
  return [h("strong", {}, who(record.actor)), known ? ` ${known} ` : ` did ${action}, to `, aim(record, label), outcome === "done" ? "" : OUTCOMES[outcome] ?? `: ${outcome}`, detail.reason && `: ${detail.reason}`, "."];
}

const aim = (record, label = "") => {
  const href = linkOf(record);
  const text = label || record.target || "somebody unknown";
  return href ? h("a", { href }, text) : text;
};

const DIRECT = { invite: "invites", bundle: "bundles", plan: "plans", import: "imports" };

// To the invite, the member, the onboarding, the job that it is about; "" where there is nothing to go to.
export function linkOf({ action, target, detail }) {
  const [first] = action.split(".");
  const [collection, id] = String(detail.step || "").split("/");
  if (id?.startsWith("imp_")) return `#/imports/${encodeURIComponent(id)}`;
  if (id && ["onboardings", "jobs"].includes(collection)) return `#/${collection}/${encodeURIComponent(id)}`;
  if (detail.onboarding) return `#/onboardings/${encodeURIComponent(detail.onboarding)}`;
  if (detail.job) return `#/jobs/${encodeURIComponent(detail.job)}`;
  if (detail.pk && action !== "user.delete") return `#/people/${detail.pk}`;
  return DIRECT[first] && target && action !== "bundle.delete" ? `#/${DIRECT[first]}/${encodeURIComponent(target)}` : "";
}
