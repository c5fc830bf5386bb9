// An invite or a recovery link by e-mail: what it says, to whom it goes, and what became of each.
import { get, post } from "./api.js";
import { button, chip, drafts, factList, field, fill, h, keyed, mark, once, problem, say, twice } from "./dom.js";
import { follow } from "./events.js";
import { capital, plural, when } from "./words.js";

const ENDED = ["done", "failed", "skipped"];
const SENT = { smtp: "sent", authentik: "in Authentik's queue; whether it left, Authentik's log says" };

// ---- what became of each

// `add(items)`: the latest of an address counts. `watch(job)`: until each of its e-mails has come to its end.
function outcomes(signal, ended = () => {}) {
  const known = new Map();
  const list = h("ul", { class: "rows", tabindex: "-1", "aria-label": "What became of each e-mail" });
  const trouble = h("div", {});
  let key = "";

  function add(items) {
    for (const item of items) known.set(item.email.toLowerCase(), item);
    const rows = [...known.values()].sort((a, b) => (b.state === "failed") - (a.state === "failed"));
    if (JSON.stringify(rows) === key) return;
    key = JSON.stringify(rows);
    const inside = list.contains(document.activeElement);
    fill(list, rows.map(row));
    if (inside) list.focus();
  }

  function row(item) {
    if (item.state === "done") return h("li", {}, item.email, ": ", SENT[item.via] || "sent", item.at && h("span", { class: "quiet" }, " ", when(item.at)));
    if (item.state === "skipped") return h("li", {}, item.email, `: not sent, since ${item.detail}.`);
    if (item.state !== "failed") return h("li", {}, item.email, " ", chip("running", "on its way"), item.cause && h("span", { class: "quiet" }, ` ${capital(item.cause)}`));
    const wrong = h("div", {});
    const again = button("Send again", () => once(again, async () => watch(await post(`/api/jobs/${encodeURIComponent(item.job)}/retry`, { steps: [item.step] })), wrong), { "aria-label": `Send again to ${item.email}` });
    return h("li", {}, h("strong", {}, item.email), `: ${item.cause}. `, item.fix && [h("strong", {}, "How to fix: "), item.fix], wrong, h("p", { class: "actions" }, again));
  }

  async function watch(job) {
    told(job);
    const failed = (error) => fill(trouble, error && problem(error));
    if (job.items.some((item) => !ENDED.includes(item.state))) await follow(`/api/jobs/${encodeURIComponent(job.id)}`, { signal, told, failed });
  }

  function told(job) {
    add(job.items.map((item) => ({ ...item, email: item.name, job: job.id, via: item.result.via, detail: item.result.reason, at: null })));
    if (job.items.some((item) => !ENDED.includes(item.state))) return;
    const failures = job.items.filter((item) => item.state === "failed").length;
    say(failures ? `${plural(failures, "e-mail")} could not be sent.` : "Sent.");
    ended();
  }

  return { element: h("div", {}, list, trouble), add, watch: (job) => (watch(job), job) };
}

const letter = ({ preview, job }) => h("div", { class: "letter" },
  preview.via === "authentik"
    ? h("p", {}, "Authentik words and sends this one: Muster's own e-mail is off.")
    : [factList([["From", preview.sender], ["To", preview.to], ["Subject", preview.subject]]), h("pre", { tabindex: "0", "aria-label": "The e-mail" }, preview.plain)],
  job.notes.length > 0 && h("ul", { class: "rows notes" }, job.notes.map((note) => h("li", {}, capital(note), "."))),
  job.items.some((item) => item.state === "failed") && h("ul", { class: "rows" }, job.items.filter((item) => item.state === "failed").map((item) => h("li", {}, h("strong", {}, item.name), `: ${item.cause}.`))));

// ---- an invite

export function inviteEmail({ path, invite, signal }) {
  const draft = `email.${invite.id}`;
  const before = drafts.find(draft);
  let keyOf = keyed();
  const found = outcomes(signal);
  const [trouble, shown] = [h("div", {}), h("div", { tabindex: "-1" })];
  const input = h("textarea", { name: "emails", rows: 2, value: before ?? invite.email, autocomplete: "off", autocapitalize: "none", spellcheck: "false", oninput: () => drafts.keep(draft, input.value) });
  const look = button("Show the e-mail", () => once(look, preview, trouble));
  const send = h("button", { class: "main" }, "Send by e-mail");
  const form = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, sent, trouble)) },
    field("Addresses", input, "Each gets an e-mail of their own. Between them commas, blanks or new lines."), shown, trouble, h("p", { class: "actions" }, send, look));

  const body = () => ({ emails: input.value.split(/[\s,;]+/).filter(Boolean) });
  function ready() {
    mark(form);
    if (body().emails.length) return true;
    mark(form, [{ field: "emails", message: "Say to whom." }]);
    return false;
  }
  async function preview() {
    if (!ready()) return;
    fill(shown, letter(await post(`${path}/email?dry_run=true`, body())));
    shown.focus();
  }
  async function sent() {
    if (!ready()) return;
    const { job } = await post(`${path}/email`, body(), { key: keyOf(body()) });
    drafts.drop(draft);
    keyOf = keyed(); // to the same address once more is another e-mail
    input.value = "";
    fill(shown);
    found.watch(job);
    found.element.firstChild.focus();
  }

  const begin = () => get(`${path}/email`, { signal }).then(
    ({ items }) => {
      found.add(items);
      if (before === null && items.some((item) => item.email === invite.email)) input.value = "";
      const open = new Set(items.filter((item) => !ENDED.includes(item.state)).map((item) => item.job));
      open.forEach((id) => get(`/api/jobs/${encodeURIComponent(id)}`, { signal }).then(found.watch, () => {}));
    },
    (error) => signal.aborted || fill(trouble, problem(error, () => (fill(trouble), begin()))),
  );
  begin();
  return h("section", { class: "emailing" }, h("h2", {}, "Send it by e-mail"), found.element, invite.status === "pending" && form);
}

// ---- a recovery link

// `to`: their address. Two presses; what became of it is told in place.
export function recoveryEmail({ path, to, signal, ended }) {
  const keyOf = keyed();
  const found = outcomes(signal, ended);
  const trouble = h("div", {});
  const act = async () => {
    const { job } = await post(`${path}/recovery/email`, {}, { key: keyOf({}) });
    found.watch(job);
    controls.forEach((each) => (each.hidden = true));
    found.element.firstChild.focus();
  };
  const controls = twice("Send a recovery link by e-mail…", `Yes: send it to ${to}`, act, trouble, {});
  return { element: h("div", {}, found.element, trouble), controls };
}
