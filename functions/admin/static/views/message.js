// One message: how far it is, who did not get it and why, and what can be done about it. Moves by itself.
import { get, post } from "../api.js";
import { button, factList, fill, h, once, problem, say, twice } from "../dom.js";
import { follow } from "../events.js";
import { saver } from "../files.js";
import { paged } from "../lists.js";
import { inWords, linked, stateChip, STATES, title } from "../messages.js";
import { alike, capital, next, plural, WAITS, when, whenAndDate } from "../words.js";

const MOST = 200; // who did not get it, read at once to be told by cause

export async function show(place, { id, signal }) {
  const path = `/api/messages/${encodeURIComponent(id)}`;
  const head = h("div", { class: "head" });
  const state = h("section", { class: "card", "aria-label": "How far it is" });
  const trouble = h("div", {});
  const failed = h("section", { class: "card needs", hidden: true });
  const groups = [
    group("waiting", "Waited for", waitingRow),
    group("got", "Got it", gotRow),
    group("skipped", "Left out", leftRow),
  ];
  let message = await get(path, { signal });
  let known = "";
  let following = false;

  function group(name, words, row) {
    const heading = h("h2", {});
    const list = paged({ path: () => `${path}/items?state=${name}`, row, words: (page, drawn) => `${drawn.toLocaleString("en")} of ${page.total.toLocaleString("en")}.`, signal });
    const box = h("details", { ontoggle: () => box.open && list.begin() }, h("summary", {}, heading), list.list, list.foot);
    const element = h("section", { hidden: true }, box);
    let many = 0;
    return { element, update: (counts) => {
      element.hidden = !counts[name];
      heading.textContent = `${words}: ${counts[name].toLocaleString("en")}`;
      if (many !== counts[name] && box.open) list.begin();
      many = counts[name];
    } };
  }

  function told(found) {
    const before = message;
    message = found;
    const now = JSON.stringify([found.state, found.counts, found.stopped_why]);
    if (now === known) return;
    known = now;
    drawHead();
    drawState();
    groups.forEach((each) => each.update(found.counts));
    if (found.counts.failed !== failed.many) didNotGetIt();
    if (before.state !== found.state) say(`${title(found)}: ${STATES[found.state][0].toLowerCase()}.`);
  }

  function drawHead() {
    const heading = head.querySelector("h1") || h("h1", {}, title(message));
    head.querySelector(".chip")?.remove();
    if (!heading.isConnected) head.append(heading);
    head.append(stateChip(message));
  }

  function drawState() {
    const { counts, people } = message;
    const bar = state.querySelector("progress") || h("progress", { "aria-label": "Progress" });
    bar.max = people || 1;
    bar.value = people - counts.open - counts.waiting;
    const focused = document.activeElement?.dataset?.act;
    fill(state, bar, h("p", {}, capital(`${inWords(counts)}, of ${plural(people, "recipient")}.`)), h("p", {}, explained(message)), trouble, h("p", { class: "actions" }, acts()));
    if (focused) (state.querySelector(`[data-act="${focused}"]`) || state.querySelector("button"))?.focus();
  }

  function acts() {
    const { state: now, counts } = message;
    const goes = ["running", "paused", "stopped"].includes(now);
    return [
      now === "running" && act("pause", "Pause", { class: "main" }),
      ["paused", "stopped"].includes(now) && act("resume", "Resume", { class: "main" }),
      counts.failed > 0 && now !== "cancelled" && act("retry", `Retry the ${counts.failed.toLocaleString("en")} who did not get it`, { class: now === "failed" ? "main" : "" }),
      goes && twice("Cancel…", `Yes: nobody else gets it (${counts.got.toLocaleString("en")} ${counts.got === 1 ? "has" : "have"} it already)`, () => done("cancel"), trouble),
    ];
  }

  const act = (deed, words, more) => {
    const control = button(words, () => once(control, () => done(deed), trouble), { ...more, "data-act": deed });
    return control;
  };

  async function done(deed) {
    const answer = await post(`${path}/${deed}`);
    told(answer.message);
    run();
  }

  // ---- who did not get it, first and by cause

  async function didNotGetIt() {
    failed.many = message.counts.failed;
    failed.hidden = !failed.many;
    if (!failed.many) return;
    try {
      const { items, total } = await get(`${path}/items?state=failed&limit=${MOST}`, { signal });
      const causes = new Map();
      for (const one of items) causes.set(alike(one.cause), [...(causes.get(alike(one.cause)) || []), one]);
      const sorted = [...causes.values()].sort((a, b) => b.length - a.length);
      fill(failed, h("h2", {}, `${total.toLocaleString("en")} did not get it`), sorted.map((people) => h("div", {},
        h("p", {}, h("strong", {}, `${plural(people.length, people[0].room ? "room" : "person", people[0].room ? "rooms" : "people")}: `), `${people[0].cause}.`),
        people[0].fix && h("p", {}, h("strong", {}, "How to fix: "), people[0].fix),
        h("ul", { class: "names" }, people.map((one) => h("li", {}, linked(one)))))),
        total > items.length && h("p", { class: "quiet" }, `The first ${items.length} are shown; the table has all of them.`));
    } catch (error) {
      if (!signal.aborted) fill(failed, h("h2", {}, `${failed.many.toLocaleString("en")} did not get it`), problem(error, didNotGetIt));
    }
  }

  async function run() {
    if (following) return;
    following = true;
    await follow(path, { signal, told, failed: (error) => fill(trouble, error && problem(error)) });
    following = false;
  }

  const facts = factList([
    ["Written by", message.actor],
    ["Sent", whenAndDate(message.created_at)],
    message.template && ["Template", message.template],
    ["Its job", h("a", { href: `#/jobs/${message.job}` }, "with its history")],
  ]);
  const words = h("section", { class: "card" }, h("h2", {}, "What it says"), h("pre", { class: "source" }, message.text), message.notice && h("p", { class: "quiet" }, "Below it: ", message.notice), facts);
  fill(place, head, state, failed, groups.map((each) => each.element), words,
    h("p", { class: "actions" }, saver("Download the report as CSV", () => `${path}/report.csv`, `message-${id}.csv`)), h("p", {}, h("a", { href: "#/messages" }, "All messages")));
  told(message);
  run();
}

function explained(message) {
  const { counts } = message;
  switch (message.state) {
    case "stopped": return [h("strong", {}, "It has stopped by itself: "), `${message.stopped_why}. Mend that, then resume it; or cancel it.`];
    case "paused": return "Nobody else gets it until you resume it.";
    case "cancelled": return counts.open + counts.waiting ? "Cancelled. Who is still to come is being left out." : `Cancelled. ${plural(counts.got, "recipient")} had it already; nobody else gets it.`;
    case "running": return counts.open ? "It goes out, one after the other. You can close this page." : "Who is waited for gets it by itself, for 14 days at most. You can close this page.";
    case "failed": return "Everybody else has it. Look below why some have not, mend that, then retry.";
    default: return [counts.skipped ? "Everybody to whom it could go has it" : "Everybody has it", message.finished_at && [", since ", when(message.finished_at)], "."];
  }
}

const gotRow = (one) => h("li", { class: "item" }, linked(one), h("p", { class: "quiet" }, when(one.at), one.readable && ` · ${one.readable}`));
const waitingRow = (one) => h("li", { class: "item" }, linked(one), h("p", { class: "quiet" }, `waits for ${WAITS[one.waits_for] || one.waits_for}`, one.next_at && [", looked at again ", next(one.next_at)]));
const leftRow = (one) => h("li", { class: "item" }, linked(one), h("p", { class: "quiet" }, `${one.cause}. ${one.fix}`));
