// Who may enter, whom to ask, and two ways in.
import { Problem } from "../api.js";
import { button, field, fill, h, once, problem } from "../dom.js";
import { session } from "../session.js";

export function show(place, { failed, entered }) {
  const { admin_group: group, issuer, problem: wrong } = session.config;
  const trouble = h("div", {});
  const outsider = session.signedIn && !session.mayEnter;
  fill(
    place,
    h("h1", {}, outsider ? "You are not in the group" : "Sign in"),
    failed && problem(failed),
    outsider ? refused(group) : welcome(group),
    !outsider && issuer && h("p", {}, authentikButton(trouble)),
    wrong && h("p", { class: "quiet" }, `Signing in with Authentik is not set up: ${wrong}.`),
    trouble,
    !outsider && keyForm(entered, Boolean(issuer)),
  );
}

const welcome = (group) =>
  h("p", {}, "Muster brings new members home. This page is for its admins: the members of the group ",
    h("strong", {}, group || "named by ADMIN_GROUP"),
    " in Authentik. If Authentik says that you may not enter, ask one of them to add you.");

const refused = (group) => [
  h("p", {}, `You are signed in as ${session.name}, which is not in the group `, h("strong", {}, group), "."),
  h("p", {}, "Ask an admin to add you in Authentik, then sign in again."),
  h("p", {}, button("Sign out", () => session.signOut(), { class: "main" })),
];

function authentikButton(trouble) {
  const control = button("Sign in with Authentik", () => once(control, () => session.signIn(), trouble), { class: "main" });
  return control;
}

function keyForm(entered, folded) {
  const key = h("input", { type: "password", name: "key", autocomplete: "off", spellcheck: "false", required: true });
  const trouble = h("div", {});
  const send = h("button", { class: folded ? "" : "main" }, "Enter with the key");
  const form = h(
    "form",
    { onsubmit: (event) => (event.preventDefault(), once(send, () => enter(key.value.trim(), entered), trouble)) },
    field("API key", key, "For when Authentik is down. It stays in this tab's memory: a reload forgets it."),
    trouble,
    h("p", {}, send),
  );
  return h("details", { class: "box", open: !folded }, h("summary", {}, "Use an API key instead"), form);
}

async function enter(key, entered) {
  if (!/^[\x21-\x7e]+$/.test(key)) throw new Problem("That is not an API key.", "It begins with muster_ and has no spaces.");
  let answer;
  try {
    answer = await fetch("/api/invites?limit=1", { headers: { Authorization: `Bearer ${key}` }, cache: "no-store", signal: AbortSignal.timeout(20_000) });
  } catch {
    throw new Problem("Muster cannot be reached.", "Look at your connection, then try again.");
  }
  if (answer.status === 401) throw new Problem("This API key is not known.", "Make one with scripts/setup key NAME, and add its entry to ADMIN_API_KEYS.");
  session.useKey(key);
  await entered();
}
