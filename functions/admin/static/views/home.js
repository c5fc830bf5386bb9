// What needs somebody now; below it, how everybody is doing.
import { each, get, post } from "../api.js";
import { button, chip, fill, h, once, problem, say } from "../dom.js";
import { bars, lines } from "../plots.js";
import { alike, capital, date, duration, kindInWords, kindOf, plural, WAITS, when, whenAndDate } from "../words.js";

const LOOKED_AT = 40; // failed onboardings whose steps are read
const WHY = 5; // waiting ones of whom the reason is read
const SOON = 48 * 3600 * 1000;

export async function show(place, { signal }) {
  const anew = () => show(place, { signal }).then(() => say("Looked again."));
  const again = button("Check again", () => once(again, anew));
  const check = h("div", { class: "check" }, h("p", { class: "quiet" }, "Self-check: looking…"));
  const body = h("div", { class: "loading", "aria-busy": "true" }, h("p", { class: "quiet" }, "Looking at how everybody is doing…"));
  if (!place.children.length) fill(place, head("Home", again), body);
  const found = await read(signal);
  if (signal.aborted) return;
  found.again = anew;
  const needs = needed(found);
  const count = needs.reduce((sum, [many]) => sum + many, 0);
  fill(
    place,
    head(title(found, count), again),
    needs.length ? needs.map(([, section]) => section) : nothing(found),
    h("section", {}, h("h2", {}, "The system"), check, system(found)),
    figures(found),
  );
  checked(check, signal).then((wrong) => {
    if (wrong && !count && !signal.aborted) place.querySelector("h1").textContent = "The system needs you";
  });
}

const head = (text, again) => h("div", { class: "head" }, h("h1", {}, text), again);
const title = (found, count) => (count ? `${plural(count, "thing")} ${count === 1 ? "needs" : "need"} you` : "Nothing needs you now");

// Side by side; a part that fails is shown as such, and hides none of the others.
async function read(signal) {
  const paths = {
    failed: `/api/onboardings?state=failed&limit=${LOOKED_AT}`,
    held: "/api/onboardings?state=held&limit=20",
    waiting: "/api/onboardings?state=waiting&limit=20",
    running: "/api/onboardings?state=running&limit=1",
    indoc: "/api/indoc?limit=20",
    invites: "/api/invites?status=pending&limit=50",
    jobs: "/api/jobs?limit=20",
    sync: "/api/sync",
    metrics: "/api/metrics",
    status: "/api/status",
  };
  const names = Object.keys(paths);
  const outcomes = await each(names, (name) => get(paths[name], { signal }), 6);
  const found = Object.fromEntries(names.map((name, at) => [name, outcomes[at].value || null]));
  found.errors = names.flatMap((name, at) => (outcomes[at].error ? [[name, outcomes[at].error]] : []));
  if (found.errors.length === names.length) throw outcomes[0].error;
  const one = (item) => get(`/api/onboardings/${item.id}`, { signal });
  const failed = found.failed?.items || [];
  const waits = found.waiting?.items.slice(0, WHY) || [];
  const whole = (await each([...failed, ...waits], one, 6)).map((outcome) => outcome.value || null);
  found.steps = whole.slice(0, failed.length).filter(Boolean);
  found.why = new Map(whole.slice(failed.length).filter(Boolean).map((item) => [item.id, causes(item)]));
  if (isEmpty(found)) found.rooms = (await get("/api/rooms?limit=1", { signal }).catch(() => null))?.total;
  return found;
}

const causes = (one) => [...new Set(Object.values(one.steps).filter((step) => step.state === "waiting" && step.cause).map((step) => step.cause))];
const begun = (found) => Object.values(found.metrics?.by_state || {}).reduce((sum, many) => sum + many, 0);
const isEmpty = (found) => !begun(found) && found.invites?.total === 0;

function needed(found) {
  const failures = groups(found.steps).map((group) => [1, failure(group)]);
  const more = found.failed && found.failed.total > found.steps.length
    ? [[0, h("p", { class: "quiet" }, `Looked at ${found.steps.length} of ${found.failed.total} members with failed steps. `, h("a", { href: "#/onboardings?state=failed" }, "All of them"))]]
    : [];
  const failedJobs = found.jobs?.items.filter((job) => job.state === "failed") || [];
  const soon = found.invites?.items.filter((each) => new Date(each.expires_at) - Date.now() < SOON) || [];
  return [
    ...(found.status?.down || []).map((down) => [1, outage(down, found.again)]),
    ...(found.status?.settings.length ? [[found.status.settings.length, settings(found.status.settings)]] : []),
    ...unread(found.errors),
    ...failures,
    ...more,
    ...(found.held?.total ? [[found.held.total, held(found.held)]] : []),
    ...(failedJobs.length ? [[failedJobs.length, jobs(failedJobs)]] : []),
    ...(people(found.indoc) ? [[overdue(found.indoc) ? 1 : 0, indoc(found.indoc)]] : []),
    ...(found.waiting?.total ? [[0, waiting(found)]] : []),
    ...(soon.length ? [[0, expiring(soon)]] : []),
  ];
}

// By what went wrong: a setting that is missing stops most of them at once.
function unread(errors) {
  const found = new Map();
  for (const [name, error] of errors) found.set(error.detail, { error, names: [...(found.get(error.detail)?.names || []), PARTS[name] || name] });
  return [...found.values()].map(({ error, names }) => [1, h("section", {}, h("h2", {}, `Could not be read: ${new Intl.ListFormat("en").format(names)}`), problem(error))]);
}

const NEIGHBOURS = { matrix: "Matrix", authentik: "Authentik" };
const clock = (at) => new Date(at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });

function outage(down, again) {
  const control = button("Check again", () => once(control, again));
  return h("section", { class: "card needs" },
    h("h2", {}, `${NEIGHBOURS[down.neighbour]} down since ${Date.now() - new Date(down.since) < 20 * 3600e3 ? clock(down.since) : date(down.since)}`),
    h("p", {}, `${capital(down.cause.replace(/[.]$/, ""))}. That was `, when(down.since), "."),
    h("p", {}, "Bring it back. Nobody is lost: what waits for it goes on by itself", down.probe_at && [", and it is tried again ", when(down.probe_at)], "."),
    h("p", { class: "actions" }, control));
}

const settings = (wrong) =>
  h("section", { class: "card needs" }, h("h2", {}, `${plural(wrong.length, "setting")} missing or not valid`),
    h("ul", { class: "rows" }, wrong.slice(0, 5).map((one) => h("li", {}, `${one.problem}.`))),
    h("p", {}, h("strong", {}, "How to fix: "), wrong[0].fix, " ", h("a", { href: "#/settings" }, "All settings")));

const PARTS = { running: "who is on the way", invites: "invites", jobs: "jobs", status: "how the system is", failed: "failed onboardings", held: "held onboardings", waiting: "who waits", indoc: "INDOC", sync: "the caches", metrics: "the figures" };

// ---- failed steps, by cause

function groups(onboardings) {
  const found = new Map();
  for (const onboarding of onboardings) {
    for (const [name, step] of Object.entries(onboarding.steps)) {
      if (step.state !== "failed") continue;
      const key = `${kindOf(name)}|${alike(step.cause)}`;
      const group = found.get(key) || { kind: kindOf(name), cause: step.cause, fix: step.fix, members: new Map() };
      const member = group.members.get(onboarding.id) || { onboarding, steps: [] };
      member.steps.push(name);
      group.members.set(onboarding.id, member);
      found.set(key, group);
    }
  }
  return [...found.values()].sort((a, b) => b.members.size - a.members.size);
}

function failure(group) {
  const members = [...group.members.values()];
  const list = h("ul", { class: "names" });
  const item = (member) => h("li", {}, link(member.onboarding));
  fill(list, members.map(item));
  const outcome = h("div", { role: "status" });
  const many = members.length;
  const check = button("Check again", () => once(check, () => stillSo(group, members, outcome), outcome));
  const control = button(many === 1 ? "Retry" : `Retry all ${many}`, () => retryAll(members, list, outcome, control), { class: "main" });
  return h(
    "section",
    { class: "card needs" },
    h("h2", {}, `${plural(many, "member")}: ${kindInWords(group.kind)}`),
    h("p", {}, `${capital(group.cause)}.`),
    group.fix && h("p", {}, h("strong", {}, "How to fix: "), group.fix),
    many > 3 ? h("details", {}, h("summary", {}, "Who"), list) : list,
    outcome,
    h("p", { class: "actions" }, control, check),
  );
}

const OF_AUTHENTIK = ["groups", "activate", "deactivate", "invitation"];

// Whether the cause has gone: what has become of these members, and what the self-check says of the neighbour.
async function stillSo(group, members, outcome) {
  fill(outcome, h("p", { class: "quiet" }, "Looking. That takes some seconds…"));
  const neighbour = OF_AUTHENTIK.includes(group.kind) ? "authentik" : "matrix";
  const [now, checks] = await Promise.all([each(members, ({ onboarding }) => get(`/api/onboardings/${onboarding.id}`), 4), get("/api/self-check", { seconds: 40 })]);
  const stuck = now.filter(({ value }) => !value || Object.values(value.steps).some((step) => step.state === "failed")).length;
  const red = checks.items.filter((item) => !item.ok && (item.name.includes(neighbour) || item.name === "neighbours"));
  const went = members.length - stuck;
  fill(outcome,
    went > 0 && h("p", { class: "good" }, `${plural(went, "member")} ${went === 1 ? "has" : "have"} gone on meanwhile.`),
    stuck > 0 && red.length === 0 && h("p", {}, `The self-check finds nothing wrong with ${NEIGHBOURS[neighbour]} now. If you have mended the cause, retry.`),
    red.length > 0 && h("ul", { class: "wrong" }, red.map((item) => h("li", {}, `${item.detail}. ${item.fix}`))));
}

async function retryAll(members, list, outcome, control) {
  if (control.dataset.busy) return;
  control.dataset.busy = "1";
  control.setAttribute("aria-disabled", "true");
  const bar = h("progress", { max: members.length, value: 0, "aria-label": "Retried" });
  fill(outcome, bar);
  let ended = 0;
  const outcomes = await each(members, ({ onboarding, steps }) => post(`/api/onboardings/${onboarding.id}/retry`, { steps }), 4, () => (bar.value = ++ended));
  const failed = members.filter((_, at) => outcomes[at].error);
  const well = members.length - failed.length;
  fill(
    outcome,
    well > 0 && h("p", { class: "good" }, `${plural(well, "member")} begun again. `, h("a", { href: "#/onboardings?state=running" }, "See how they do")),
    failed.length > 0 && h("ul", { class: "wrong" }, members.flatMap((member, at) =>
      outcomes[at].error ? [h("li", {}, link(member.onboarding), `: ${outcomes[at].error.detail} ${outcomes[at].error.fix || ""}`)] : [])),
  );
  say(failed.length ? `${well} begun again, ${failed.length} not.` : `${plural(well, "member")} begun again.`);
  fill(list, failed.map((member) => h("li", {}, link(member.onboarding))));
  members.splice(0, members.length, ...failed);
  control.hidden = !failed.length;
  delete control.dataset.busy;
  control.removeAttribute("aria-disabled");
  control.textContent = `Retry the ${failed.length} again`;
}

const link = (one) => h("a", { href: `#/onboardings/${one.id}` }, one.member.name || one.member.username);

// ---- the others

const list = (items, total, more) => [
  h("ul", { class: "rows" }, items),
  total > items.length && h("p", { class: "quiet" }, more ? h("a", { href: more }, `All ${total}`) : `and ${total - items.length} more`),
];

const held = (found) =>
  h("section", { class: "card needs" }, h("h2", {}, `${plural(found.total, "member")} held until you decide`),
    list(found.items.map((one) => h("li", {}, link(one), h("span", { class: "quiet" }, ` ${one.hold_reason || "held"} · `, when(one.created_at)))), found.total, "#/onboardings?state=held"));

const waiting = (found) => {
  const why = Object.entries(found.metrics?.waiting_steps || {}).filter(([, many]) => many);
  return h("section", { class: "card" }, h("h2", {}, `${plural(found.waiting.total, "member")} waiting`),
    why.length > 0 && h("p", {}, why.map(([name, many]) => `${plural(many, "step")} for ${WAITS[name] || name}`).join("; "), "."),
    list(found.waiting.items.slice(0, WHY).map((one) => h("li", {}, link(one), h("span", { class: "quiet" }, " ", found.why.get(one.id)?.join("; ") || "waits", " · begun ", when(one.created_at)))), found.waiting.total, "#/onboardings?state=waiting"));
};

// The bot lives there.
const isBot = (one) => one.why === "is the bot";
const people = (found) => (found ? found.total - found.items.filter(isBot).length : 0);
const overdue = (found) => found?.items.some((one) => one.fix);

const indoc = (found) =>
  h("section", { class: overdue(found) ? "card needs" : "card" }, h("h2", {}, `${plural(people(found), "person", "people")} in INDOC`),
    h("p", { class: "quiet" }, found.clock === "on" ? `Nudged after ${found.nudge_hours} h, removed after ${found.remove_hours} h.` : "The clock is off: nobody is nudged or removed by itself."),
    list(found.items.filter((one) => !isBot(one)).slice(0, 8).map((one) =>
      h("li", {}, one.onboarding ? h("a", { href: `#/onboardings/${one.onboarding}` }, one.name || one.matrix_id) : one.name || one.matrix_id,
        " ", one.state !== "exempt" && chip(one.state),
        h("span", { class: "quiet" }, ` since ${duration(one.hours * 3600)}`, one.why && ` · ${one.why}`, one.fix && `. ${one.fix}`))), people(found)));

const expiring = (soon) =>
  h("section", { class: "card" }, h("h2", {}, `${plural(soon.length, "invite")} about to expire`),
    list(soon.slice(0, 8).map((one) => h("li", {}, h("a", { href: `#/invites/${one.id}` }, one.label),
      h("span", { class: "quiet" }, " ", when(one.expires_at), `, used ${one.uses} of ${one.max_uses}`))), soon.length, "#/invites?status=pending"));

const jobs = (failed) =>
  h("section", { class: "card needs" }, h("h2", {}, `${plural(failed.length, "job")} failed in part`),
    list(failed.map((job) => h("li", {}, h("a", { href: `#/jobs/${job.id}` }, `${capital(job.kind)} ${job.matrix_id || job.reason}`), h("span", { class: "quiet" }, " asked by ", job.actor, " ", when(job.created_at)))), failed.length, "#/jobs?state=failed"));

function nothing(found) {
  if (!isEmpty(found))
    return h("section", { class: "card" }, h("p", {}, found.running?.total ? `${plural(found.running.total, "member")} on the way, nobody stuck.` : "Nobody is stuck, held or late. "),
      h("p", { class: "actions" }, h("a", { class: "button main", href: "#/invites/new" }, "Invite somebody")));
  return h("section", { class: "card" }, h("h2", {}, "Begin here"),
    h("ol", {}, h("li", {}, "See that the ", h("a", { href: "#/self-check" }, "self-check"), " is green."),
      found.rooms === 0 && h("li", {}, "The bot is in no room yet. Invite it into one in your Matrix client, then run ", h("code", {}, "scripts/setup bot"), "."),
      h("li", {}, h("a", { href: "#/invites/new" }, "Make an invite"), " for yourself."),
      h("li", {}, "Open its link on your phone, and watch it arrive here.")),
    h("p", { class: "actions" }, h("a", { class: "button main", href: "#/invites/new" }, "Make the first invite")));
}

// ---- the system

async function checked(place, signal) {
  try {
    const { items, total } = await get("/api/self-check", { seconds: 40, signal });
    const bad = items.filter((item) => !item.ok);
    if (!bad.length) return fill(place, h("p", {}, chip("good", "Well"), " ", h("a", { href: "#/self-check" }, `Self-check: all ${total} are as they should be`))), 0;
    fill(place, h("details", {}, h("summary", {}, chip("bad", `${bad.length} wrong`), ` Self-check: ${inOneLine(bad)}`),
      h("ul", { class: "rows" }, bad.map((item) => h("li", {}, h("strong", {}, item.name), `: ${item.detail}. `, item.fix))), h("p", {}, h("a", { href: "#/self-check" }, "All of it, with what to copy"))));
    return bad.length;
  } catch (error) {
    if (!signal.aborted) fill(place, problem(error));
    return 1;
  }
}

// A neighbour that is down explains most of the rest: "Matrix down since 14:02".
function inOneLine(bad) {
  const down = bad.filter((item) => item.name === "neighbours").map((item) => item.detail);
  const names = bad.filter((item) => item.name !== "neighbours").map((item) => item.name);
  return [...down, ...names].slice(0, 3).join(", ") + (bad.length > 3 ? "…" : "");
}

const late = (at) => Date.now() - new Date(at) > 30 * 60e3;

function system({ sync, jobs: found, status }) {
  const last = found?.items[0];
  return h("ul", { class: "rows" },
    sync?.items.map((one) => h("li", {}, chip(one.cause ? "bad" : one.synced_at ? "good" : "waiting", one.source),
      " ", one.running ? `is being read${one.progress ? `, ${Math.round(one.progress * 100)} % done` : ""}` : one.synced_at ? ["read ", when(one.synced_at)] : "not read yet",
      one.cause && h("span", {}, `: ${one.cause}. ${one.fix}`))),
    status && h("li", {}, chip(!status.sweep_at ? "waiting" : late(status.sweep_at) || Object.keys(status.sweep_failed).length ? "bad" : "good", "sweep"), " ",
      status.sweep_at ? ["looked for what was lost ", when(status.sweep_at)] : "has never run: set up its schedule", Object.entries(status.sweep_failed).map(([part, cause]) => `; ${part} failed: ${cause}`)),
    status && h("li", {}, chip(status.webhook_at ? "good" : "plain", "webhook"), " ", status.webhook_at ? ["the last enrollment was told ", when(status.webhook_at)] : "none has come yet"),
    h("li", {}, chip(last ? last.state : "plain", "jobs"), " ", last ? ["the latest, ", h("a", { href: `#/jobs/${last.id}` }, last.kind), ", ", when(last.created_at)] : "none yet"));
}

// ---- the figures

function figures({ metrics }) {
  if (!metrics) return null;
  const { by_state: states, time_to_home: took, series, failures } = metrics;
  const rows = series.map((day) => ({ label: new Date(day.day).toLocaleDateString(undefined, { day: "numeric", month: "short", timeZone: "UTC" }), values: [day.begun, day.home] }));
  return h("section", { class: "figures" }, h("h2", {}, "How it goes"),
    h("div", { class: "grid" },
      bars("The last 30 days:", ["begun", "home"], rows),
      lines("All members, by state", Object.entries(states).map(([state, value]) => ({ label: state, value, state })), ["State", "Members"]),
      took.count > 0 && lines(`From enrolling to being at home, ${plural(took.count, "member")}`, [
        { label: "half within", value: took.p50 || 0, text: duration(took.p50), state: "done" },
        { label: "95 % within", value: took.p95 || 0, text: duration(took.p95), state: "waiting" },
      ], ["Share", "Time"]),
      failures.length > 0 && lines("Failed steps, by cause", failures.slice(0, 8).map((one) => ({ label: capital(one.cause), value: one.count, state: "failed" })), ["Cause", "Steps"], "long")),
    h("p", { class: "quiet" }, "As of ", whenAndDate(metrics.at), "."));
}
