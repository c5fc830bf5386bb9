// Everything that must be right outside of Muster: what is red comes first, each with its fix.
import { get, post } from "../api.js";
import { button, chip, copier, fill, h, once, problem, say } from "../dom.js";
import { capital, plural, when } from "../words.js";

const SECONDS = 40; // each part has 25 of its own
const GROUPS = [
  ["Settings", (name) => name === "settings"],
  ["Rooms", (name) => name.startsWith("matrix room")],
  ["Authentik", (name) => name.includes("authentik") || name === "webhook"],
  ["Matrix", (name) => name.includes("matrix")],
  ["Google Cloud", (name) => /^(store|tasks|queue|sweep)/.test(name)],
  ["Outages", () => true],
];

export async function show(place, { signal }) {
  const again = button("Check again", () => once(again, look));
  const heading = h("h1", {}, "Self-check");
  const progress = h("div", { class: "progress", role: "status" });
  const found = h("div", {});
  fill(place, h("div", { class: "head" }, heading, again), progress, found);
  look();

  async function look() {
    const stop = waits(progress);
    try {
      const { items } = await get("/api/self-check", { seconds: SECONDS, signal });
      stop();
      draw(items);
    } catch (error) {
      stop();
      if (!signal.aborted) fill(progress, problem(error, look));
    }
  }

  function draw(items) {
    const red = items.filter((item) => !item.ok);
    heading.textContent = red.length ? `Self-check: ${red.length} of ${items.length} need you` : "Self-check: all is well";
    fill(progress, h("p", { class: "quiet" }, "Looked ", when(new Date().toISOString()), `, at ${plural(items.length, "thing")}.`));
    say(red.length ? `${plural(red.length, "thing")} wrong.` : "All is well.");
    const groups = GROUPS.map(([title, fits], at) => [title, items.filter((item) => GROUPS.findIndex(([, each]) => each(item.name)) === at && fits(item.name))]);
    const left = ([, some]) => some.filter((item) => !item.ok).length;
    fill(found, groups.filter(([, some]) => some.length).sort((a, b) => left(b) - left(a)).map(section));
  }
}

// Seconds go by where nothing can be shown yet: so many have gone, and so many it may take.
function waits(place) {
  const bar = h("progress", { max: SECONDS, value: 0, "aria-label": "Looking" });
  const text = h("p", { class: "quiet" }, "Looking at everything, side by side. That takes some seconds; longer where something is down.");
  fill(place, text, bar);
  const timer = setInterval(() => (bar.value += 0.5), 500);
  return () => clearInterval(timer);
}

function section([title, items]) {
  const red = items.filter((item) => !item.ok);
  const green = items.filter((item) => item.ok);
  return h("section", { class: red.length ? "card needs" : "card" },
    h("h2", {}, title, " ", chip(red.length ? "bad" : "good", red.length ? `${red.length} wrong` : "Well")),
    red.length > 0 && h("ul", { class: "rows checks" }, red.map(wrong)),
    green.length > 0 && (red.length ? h("details", {}, h("summary", {}, `${green.length} well`), h("ul", { class: "rows checks" }, green.map(well))) : h("ul", { class: "rows checks" }, green.map(well))));
}

const titled = (item) => capital(item.name.replace(/^(authentik|matrix) (?=\S)/, "").replace(/^cache of (\w+)$/, (_, source) => `cache of ${capital(source)}`));

const well = (item) => h("li", { class: "well" }, h("strong", {}, titled(item)), h("span", { class: "quiet" }, ` · ${item.detail}`, /^not (visible|set up)/.test(item.detail) && item.fix && `. ${item.fix}`));

function wrong(item) {
  const trouble = h("div", {});
  const sync = /^cache of /.test(item.name) && button("Read it anew now", () =>
    once(sync, async () => (await post("/api/sync", { source: item.name.replace("cache of ", "") }), say("It is being read. Check again in a moment.")), trouble));
  return h("li", { class: "red" },
    h("p", {}, h("strong", {}, titled(item)), `: ${item.detail}.`),
    item.fix && h("p", {}, h("strong", {}, "How to fix: "), item.fix),
    item.command && command(item.command),
    sync && h("p", { class: "actions" }, sync), trouble,
    item.name === "settings" && h("p", {}, h("a", { href: "#/settings" }, "All settings")));
}

function command(text) {
  const shown = h("code", { class: "command", tabindex: "0" }, text);
  return h("div", { class: "copied" }, shown, copier(() => text, text.startsWith("/") ? "Copy for the room" : "Copy the command"));
}
