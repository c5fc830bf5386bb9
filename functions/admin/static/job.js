// A job, and what becomes of each thing in it: what succeeded first, then what failed, by name, with what to do next.
import { get, post } from "./api.js";
import { button, chip, fill, h, once, problem, say } from "./dom.js";
import { follow as watch } from "./events.js";
import { paged } from "./lists.js";
import { namer } from "./rooms.js";
import { capital, kindInWords, plural, when } from "./words.js";

const FIRST = 40; // things of a kind that are drawn; more when asked
const MORE = 200;
const GROUPS = [["done", "Succeeded"], ["failed", "Failed"], ["skipped", "Left out"], ["open", "Still to come"]];
export const JOB_STATES = { running: "Under way", waiting: "Waiting", failed: "Something failed", done: "Done" };

export function jobTitle(job) {
  const whom = job.matrix_id || (job.people ? plural(job.people, "person", "people") : "somebody");
  switch (job.kind) {
    case "invite": return `Invite ${whom} to rooms`;
    case "remove": return `Take ${whom} out of rooms`;
    case "offboard": return `Off-board ${whom}`;
    case "member": return `${whom}: their part of a plan`;
    case "answer": return `Answer ${whom}`;
    case "plan": return "Apply a plan";
    case "undo": return "Take a plan back";
    case "email": return job.target.startsWith("inv_") ? "Send an invite by e-mail" : `Send ${job.target} a recovery link by e-mail`;
    case "message": return capital(job.reason);
    case "import": return `Import ${job.reason}`;
    default: return capital(job.reason || job.kind);
  }
}

export const jobRow = (job) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: `#/jobs/${encodeURIComponent(job.id)}` }, jobTitle(job)), chip(job.state, JOB_STATES[job.state])),
    h("p", { class: "quiet" }, "Asked for by ", job.actor, " ", when(job.created_at), job.finished_at && [", ended ", when(job.finished_at)]));

// Draws the job's items into `place`, and follows them until it has ended. `drawn(job)` hears of each look at it, `done(job)`
// of its end.
export async function follow(place, jobId, { signal, drawn = () => {}, done = () => {} }) {
  const path = `/api/jobs/${encodeURIComponent(jobId)}`;
  const [first, name] = await Promise.all([get(path, { signal }), namer()]);
  const about = { path, name, signal, job: first, wake: () => {}, most: Object.fromEntries(GROUPS.map(([group]) => [group, FIRST])) };
  about.groups = GROUPS.map(([group, title]) => groupOf(group, title, about));
  const head = h("div", { class: "progress" });
  const trouble = h("div", {});
  const notes = h("div", {});
  const retry = retrying(about, trouble);
  fill(place, head, notes, trouble, h("p", { class: "actions" }, retry.control), about.groups.map((each) => each.element), hasParts(first) && parts(first, signal));
  about.update = async (job) => {
    about.job = job;
    progress(head, job);
    said(notes, job);
    retry.update(job);
    drawn(job);
    await Promise.all(about.groups.map((each) => each.update(job)));
  };
  await about.update(first);
  const run = async () => {
    const last = await changes(about, trouble);
    if (!last || signal.aborted) return;
    say(`${jobTitle(last)}: ${JOB_STATES[last.state].toLowerCase()}.`);
    done(last);
  };
  about.again = run;
  if (ends(first)) done(first);
  else run();
}

const ends = (job) => ["done", "failed"].includes(job.state);

// Answers the job once it has ended.
async function changes(about, trouble) {
  const failed = (error) => fill(trouble, error && problem(error));
  const over = await watch(about.path, { signal: about.signal, told: about.update, failed });
  return over ? about.job : null;
}

// ---- the whole

const counted = (job) => {
  const counts = { done: 0, failed: 0, skipped: 0, open: 0 };
  for (const [state, many] of Object.entries(job.counts)) counts[state in counts ? state : "open"] += many;
  return counts;
};

function progress(place, job) {
  const { done, failed, skipped, open } = counted(job);
  const words = [[done, "done"], [failed, "failed"], [skipped, "left out"], [open, "to come"]].filter(([many]) => many).map(([many, word]) => `${many.toLocaleString("en")} ${word}`);
  const bar = place.querySelector("progress") || h("progress", { "aria-label": "Progress" });
  const text = place.querySelector("p") || h("p", {});
  bar.max = job.total || 1;
  bar.value = job.total ? job.total - open : 1;
  text.textContent = job.total ? `${words.join(", ")}, of ${job.total.toLocaleString("en")}.` : "There was nothing to do.";
  if (!bar.isConnected) fill(place, bar, text);
}

function said(place, job) {
  const key = job.notes.join("\n");
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  fill(place, job.notes.length > 0 && h("ul", { class: "rows notes" }, job.notes.map((note) => h("li", {}, capital(note)))));
}

// All that failed again, by one press.
function retrying(about, trouble) {
  const control = button("Retry what failed", () => once(control, () => retried(about, {}), trouble), { class: "main", hidden: true });
  return { control, update: (job) => {
    const { failed } = counted(job);
    control.hidden = job.state !== "failed";
    control.textContent = failed > 1 ? `Retry the ${failed.toLocaleString("en")} that failed` : "Retry what failed";
  } };
}

async function retried(about, body) {
  const moving = !ends(about.job);
  await about.update(await post(`${about.path}/retry`, body));
  say("Begun again: what is done stays done.");
  if (!moving) about.again();
}

// ---- what succeeded, what failed

const stateOf = (item) => (["done", "failed", "skipped"].includes(item.state) ? item.state : "open");

function groupOf(group, title, about) {
  const heading = h("h2", { tabindex: "-1" });
  const list = h("ul", { class: group === "done" || group === "open" ? "names" : "rows" });
  const more = button("Show more", () => once(more, async () => {
    about.most[group] += MORE;
    await update(about.job, true);
  }, foot), { hidden: true });
  const foot = h("div", {});
  const box = group === "open" || group === "skipped" ? h("details", { ontoggle: () => update(about.job, true) }, h("summary", {}, heading), list, foot, h("p", { class: "actions" }, more)) : null;
  const element = h("section", { hidden: true, class: `group is-${group}` }, box || [heading, list, foot, h("p", { class: "actions" }, more)]);
  let shown = [];

  async function update(job, asked = false) {
    const many = counted(job)[group];
    element.hidden = !many;
    heading.textContent = `${title}: ${many.toLocaleString("en")}`;
    if (!many || (box && !box.open)) return;
    shown = await items(job, group, about, shown, asked);
    keep(list, shown, (item) => row(item, group, job, about));
    more.hidden = shown.length >= many;
  }
  return { element, update };
}

// Most jobs show all of their items at once; of one with thousands they come page by page, and only where they changed.
async function items(job, group, about, shown, asked) {
  if (job.items.length >= job.total) return job.items.filter((item) => stateOf(item) === group).slice(0, about.most[group]);
  const wanted = Math.min(counted(job)[group], about.most[group]);
  if (shown.length === wanted && group !== "open" && !asked) return shown;
  const found = [];
  let cursor = "";
  do {
    const page = await get(`${about.path}/items?state=${group}&limit=${Math.min(200, wanted - found.length)}${cursor && `&cursor=${cursor}`}`, { signal: about.signal });
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && found.length < wanted);
  return found;
}

// Elements whose item is the same stay where they are: what has the focus keeps it.
function keep(list, shown, draw) {
  const known = new Map([...list.children].map((element) => [element.dataset.key, element]));
  shown.forEach((item, at) => {
    const key = JSON.stringify(item);
    const element = known.get(key) || draw(item);
    element.dataset.key = key;
    known.delete(key);
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] || null);
  });
  while (list.children.length > shown.length) list.lastChild.remove();
}

const who = (item, job, about) => {
  if (item.pk) return h("a", { href: `#/people/${item.pk}` }, item.name || item.username || `account ${item.pk}`);
  if (item.kind === "email") return item.name;
  if (item.kind === "recipients") return h("a", { href: `#/messages/${job.id.replace(/^job_/, "msg_")}` }, "The message, and who got it");
  if (item.kind === "import") return h("a", { href: `#/imports/${job.id}` }, "The lines of the import");
  if (item.kind === "spread") return `Part ${Number(item.step.split(":")[1]) + 1} of the plan`;
  const what = item.room ? about.name(item.room) : capital(kindInWords(item.kind));
  return item.matrix_id ? `${what} (${item.matrix_id})` : what;
};

const next = (item) => [
  item.result.onboarding && item.kind === "onboard" && [" ", h("a", { href: `#/onboardings/${item.result.onboarding}` }, "their way")],
  item.result.job && [" ", h("a", { href: `#/jobs/${item.result.job}` }, "their rooms")],
];

function row(item, group, job, about) {
  if (group === "done" || group === "open") return h("li", {}, who(item, job, about), group === "done" && next(item));
  const trouble = h("div", {});
  const again = group === "failed" && item.step && ends(job) && button("Retry this one", () => once(again, () => retried(about, { steps: [item.step] }), trouble));
  return h("li", {}, h("strong", {}, who(item, job, about)), `: ${item.cause || item.result.reason || "no reason was given"}. `,
    item.fix && group === "failed" && h("span", {}, h("strong", {}, "How to fix: "), item.fix), next(item), trouble, again && h("p", { class: "actions" }, again));
}

// ---- a job of jobs

const hasParts = (job) => ["plan", "undo"].includes(job.kind);

function parts(job, signal) {
  const base = `/api/jobs?part_of=${encodeURIComponent(job.id)}`;
  const failed = paged({ path: () => `${base}&state=failed`, row: jobRow, words: (page, drawn) => (page.total ? `${drawn} of ${plural(page.total, "member")} for whom something failed.` : "Nothing failed for anybody so far."), signal });
  const all = paged({ path: () => base, row: jobRow, words: (page, drawn) => `${drawn} of ${plural(page.total, "member")}.`, signal });
  failed.begin();
  return h("section", {}, h("h2", {}, "Member by member"), failed.list, failed.foot,
    h("details", { ontoggle: (event) => event.target.open && !all.list.children.length && all.begin() }, h("summary", {}, "All of them"), all.list, all.foot));
}
