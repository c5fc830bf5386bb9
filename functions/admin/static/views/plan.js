// One plan: its lines by kind, each with its reason, ticked or not; then it is done, followed, and undone if need be.
import { get, post } from "../api.js";
import { button, chip, drafts, fill, h, once, problem, say } from "../dom.js";
import { inWords, KINDS, STATES, summary } from "../planning.js";
import { tray, typedCount } from "../ticks.js";
import { plural, when, whenAndDate } from "../words.js";

const LONG = 60; // seconds

export async function show(place, { id, signal }) {
  const path = `/api/plans/${encodeURIComponent(id)}`;
  draw(place, await get(path, { signal }), path, signal);
}

function draw(place, plan, path, signal) {
  const [state, mark] = STATES[plan.state];
  const open = plan.state === "planned";
  const ticks = open && choices(plan);
  const kinds = Object.keys(KINDS).filter((kind) => plan.counts[kind]);
  fill(place,
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, summary(plan.counts)), chip(mark, state)),
    h("section", {},
      h("p", {}, "Made ", when(plan.created_at), ` by ${plan.actor}, for ${plural(plan.people, "person", "people")}. `, limits(plan)),
      plan.notes.map((note) => h("p", {}, note.replace(/, or lift the limits: .*/, ". An admin of the homeserver can lift the limits: scripts/setup bot."))),
      done(plan, path, place, signal)),
    !kinds.some((kind) => kind !== "keep") && h("p", {}, "Everybody is where their bundles say."),
    kinds.map((kind) => lines(plan, kind, path, ticks, signal)),
    open && applying(plan, path, ticks, place, signal),
    h("p", {}, h("a", { href: "#/plans" }, "All plans")));
}

const limits = (plan) => [plan.bundles.length > 0 && `Only the bundles ${plan.bundles.join(", ")}. `, plan.groups.length > 0 && `Only the groups ${plan.groups.join(", ")}. `, plan.matrix_ids.length > 0 && `Only ${plan.matrix_ids.join(", ")}.`];

// ---- what is ticked: of each kind all but some, or some alone; so a hundred thousand lines need no list

function choices(plan) {
  const draft = `plan.${plan.id}`;
  const kinds = Object.fromEntries(Object.keys(KINDS).filter((kind) => kind !== "keep" && plan.counts[kind]).map((kind) => [kind, { all: kind !== "remove", but: new Set() }]));
  for (const [kind, { all, but }] of Object.entries(drafts.find(draft) || {})) if (kinds[kind]) kinds[kind] = { all, but: new Set(but) };
  const hear = [];
  const changed = () => {
    drafts.keep(draft, Object.fromEntries(Object.entries(kinds).map(([kind, { all, but }]) => [kind, { all, but: [...but] }])));
    hear.forEach((told) => told());
  };
  const count = (kind) => (kinds[kind] ? (kinds[kind].all ? plan.counts[kind] - kinds[kind].but.size : kinds[kind].but.size) : 0);
  const set = (kind, id, on) => (on === kinds[kind].all ? kinds[kind].but.delete(id) : kinds[kind].but.add(id), changed());
  return {
    has: (kind, id) => kinds[kind].all !== kinds[kind].but.has(id),
    set,
    every: (kind, on) => ((kinds[kind] = { all: on, but: new Set() }), changed()),
    count,
    total: () => Object.keys(kinds).reduce((sum, kind) => sum + count(kind), 0),
    told: (act) => hear.push(act),
    drop: () => drafts.drop(draft),
    body() {
      const of = (all) => Object.entries(kinds).filter(([kind, one]) => one.all === all && count(kind));
      const ids = (some) => some.flatMap(([, one]) => [...one.but]);
      const [whole, some] = [of(true), of(false)];
      return { ...(some.length ? { lines: ids(some) } : {}), all_of: whole.map(([kind]) => kind), without: ids(whole) };
    },
  };
}

// ---- lines

function lines(plan, kind, path, ticks, signal) {
  const [words] = KINDS[kind];
  const list = h("ul", { class: "list" });
  const foot = h("div", { class: "actions", role: "status" });
  const canTick = ticks && kind !== "keep";
  const count = h("span", { class: "quiet" });
  const boxes = new Map();

  const row = (line) => {
    const box = canTick && h("input", { type: "checkbox", checked: ticks.has(kind, line.id), onchange: () => ticks.set(kind, line.id, box.checked) });
    if (box) boxes.set(line.id, box);
    const what = h("span", {}, h("strong", {}, line.username || line.matrix_id), ` · ${line.room || line.room_id}`, change(line), h("span", { class: "quiet line" }, line.reason));
    return h("li", {}, box ? h("label", { class: "tick" }, box, what) : h("div", { class: "tick" }, what));
  };

  // Of one kind a page may be short: on until there is something to see.
  async function more(cursor) {
    try {
      let before = list.children.length;
      do {
        const page = await get(`${path}/lines?action=${kind}&limit=50${cursor && `&cursor=${cursor}`}`, { signal });
        list.append(...page.items.map(row));
        cursor = page.next_cursor;
      } while (cursor && list.children.length === before);
      fill(foot, h("p", { class: "quiet" }, `${list.children.length.toLocaleString("en")} of ${plan.counts[kind].toLocaleString("en")}.`), cursor && button("Show more", (event) => ((event.target.disabled = true), more(cursor))));
    } catch (error) {
      if (!signal.aborted) fill(foot, problem(error, () => more(cursor)));
    }
  }

  function told() {
    fill(count, `${ticks.count(kind).toLocaleString("en")} of ${plan.counts[kind].toLocaleString("en")} ticked`);
    for (const [id, box] of boxes) box.checked = ticks.has(kind, id);
  }

  if (canTick) {
    ticks.told(told);
    told();
  }
  const box = h("details", {}, h("summary", {}, `Each of the ${plan.counts[kind].toLocaleString("en")}, with its reason`), list, foot);
  box.addEventListener("toggle", () => box.open && !list.children.length && more(""));
  box.open = plan.counts[kind] <= 50;
  return h("section", {}, h("div", { class: "head" }, h("h2", {}, `${words}: ${plan.counts[kind].toLocaleString("en")}`), canTick && count),
    canTick && h("p", { class: "actions" }, button(`All`, () => ticks.every(kind, true), { "aria-label": `Tick all: ${words}` }), button("None", () => ticks.every(kind, false), { "aria-label": `Tick none: ${words}` })), box);
}

const change = (line) => (line.action === "level" ? ` · power ${line.before} → ${line.after}` : line.action === "remove" && line.before !== "join" ? " · only invited so far" : "");

// ---- done, and undone

function applying(plan, path, ticks, place, signal) {
  const trouble = h("div", {});
  const removals = () => ticks.count("remove");
  const typed = typedCount(removals, drawn);
  const act = button("", () => once(act, apply, trouble), { class: "main" });

  function drawn() {
    const many = ticks.total();
    typed.drawn("that so many people lose a room");
    act.textContent = many ? `Do ${many === 1 ? "this 1 thing" : `these ${many.toLocaleString("en")} things`}` : "Nothing is ticked";
    act.className = removals() ? "danger" : "main";
    act.disabled = !many || !typed.fits();
  }

  async function apply() {
    try {
      const { job } = await post(`${path}/apply`, { ...ticks.body(), removals: removals() }, { seconds: LONG });
      ticks.drop();
      location.hash = `#/jobs/${job.id}`;
    } catch (error) {
      const now = error.status === 409 && await get(path, { signal }).catch(() => null);
      if (now && now.state !== "planned") draw(place, now, path, signal);
      else fill(trouble, problem(inWords(error)));
    }
  }

  ticks.told(drawn);
  drawn();
  return ticks.total() || Object.keys(plan.counts).some((kind) => kind !== "keep") ? tray(typed.element, act, trouble) : null;
}

function done(plan, path, place, signal) {
  if (plan.state === "old") return h("p", {}, "It is more than an hour old, and would act on what is no longer true. ", anew(plan));
  if (!plan.job) return null;
  return [
    h("p", {}, `Applied ${summary(plan.applied)}, `, when(plan.applied_at), ". ", h("a", { href: `#/jobs/${plan.job}` }, "How it went")),
    plan.undo_job ? h("p", {}, "Undone ", when(plan.undone_at), ". ", h("a", { href: `#/jobs/${plan.undo_job}` }, "How that went")) : undoing(plan, path, place, signal),
  ];
}

function anew(plan) {
  const trouble = h("div", {});
  const act = button("Make it anew", () => once(act, async () => {
    const made = await post("/api/plans", { bundles: plan.bundles, groups: plan.groups, matrix_ids: plan.matrix_ids }, { key: crypto.randomUUID(), seconds: 2 * LONG });
    location.hash = `#/plans/${made.id}`;
  }, trouble), { class: "main" });
  return [act, trouble];
}

function undoing(plan, path, place, signal) {
  if (!plan.undo_until || new Date(plan.undo_until) < Date.now()) return h("p", { class: "quiet" }, "It was applied more than a week ago, and can no longer be undone.");
  const invites = (plan.applied.invite || 0) + (plan.applied.join || 0);
  const trouble = h("div", {});
  const typed = typedCount(() => invites, () => (sure.disabled = !typed.fits()));
  const sure = button("Yes: undo it", () => once(sure, async () => {
    try {
      const { job } = await post(`${path}/undo`, { removals: invites }, { seconds: LONG });
      say("It is being undone.");
      location.hash = `#/jobs/${job.id}`;
    } catch (error) {
      fill(trouble, problem(inWords(error)));
    }
  }, trouble), { class: "danger" });
  const inner = h("div", { hidden: true }, h("p", {}, "Whoever was removed is invited again, whoever was invited is taken out, and powers are as before. Only what the plan really did is undone."), typed.element, h("p", { class: "actions" }, sure));
  const first = button("Undo…", () => {
    inner.hidden = false;
    first.hidden = true;
    typed.drawn("that so many invites are taken back");
    sure.disabled = !typed.fits();
    inner.querySelector("input:not([hidden])")?.focus();
    if (invites <= 10) sure.focus();
  }, { class: "danger" });
  return [h("p", { class: "quiet" }, "Can be undone until ", whenAndDate(plan.undo_until), "."), inner, h("p", { class: "actions" }, first), trouble];
}
