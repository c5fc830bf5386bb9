// One import: how far it is, what was made and what was not, and the file of what was left.
import { all, get } from "../api.js";
import { chip, fill, h, problem, say } from "../dom.js";
import { saver } from "../files.js";
import { inWords, madeOf, many, notMade, table } from "../import_table.js";
import { whenAndDate } from "../words.js";

const SOON = 2000;

export async function show(place, { id, signal }) {
  const path = `/api/imports/${encodeURIComponent(id)}`;
  const head = h("div", {});
  const trouble = h("div", {});
  const lines = h("div", {});
  const first = await get(`${path}?limit=1`, { signal });
  heading(head, first, id);
  fill(place, head, trouble, lines, h("p", {}, h("a", { href: "#/imports" }, "All imports"), " · ", h("a", { href: `#/jobs/${encodeURIComponent(id)}` }, "The job")));
  follow(first);

  async function follow(found) {
    let faults = 0;
    while (!signal.aborted && moves(found)) {
      await new Promise((resolve) => setTimeout(resolve, SOON * (faults + 1)));
      if (signal.aborted || document.hidden) continue;
      try {
        found = await get(`${path}?limit=1`, { signal });
        heading(head, found, id);
        if (!moves(found)) say("The import has ended.");
        if (faults) fill(trouble);
        faults = 0;
      } catch (error) {
        if (signal.aborted) return;
        faults = Math.min(faults + 1, 10);
        fill(trouble, problem(error));
      }
    }
    if (!signal.aborted) await rows(found);
  }

  async function rows(found) {
    try {
      const { items } = await all(path, 5000, { signal });
      fill(trouble);
      fill(lines, items.length ? table(items, found.imported.kind) : h("p", { class: "quiet" }, "Its lines are kept for 30 days, and are gone by now."));
    } catch (error) {
      if (!signal.aborted) fill(trouble, problem(error, () => rows(found)));
    }
  }
}

const moves = ({ state }) => !["done", "failed"].includes(state);

function heading(place, found, id) {
  const { imported, state } = found;
  const { counts, kind } = imported;
  const ended = imported.lines - (counts.pending || 0);
  const left = notMade(counts) || (!moves(found) && counts.pending);
  const title = moves(found) ? `${ended.toLocaleString("en")} of ${many(kind, imported.lines)} done` : left ? `${madeOf(counts).toLocaleString("en")} of ${many(kind, imported.lines)} made` : `${many(kind, imported.lines)} made`;
  const file = encodeURIComponent(id);
  fill(place,
    h("div", { class: "head" }, h("h1", {}, title), left && madeOf(counts) ? chip("waiting", "in part") : chip(state)),
    moves(found) && h("progress", { max: imported.lines, value: ended, "aria-label": "Lines done" }),
    h("p", { class: "quiet" }, `${inWords(counts)} · by ${imported.actor} · `, whenAndDate(imported.created_at)),
    imported.stopped_at > 0 && h("p", {}, `It stopped at line ${imported.stopped_at}. What comes after that was not begun.`),
    !moves(found) && (left || kind === "invites") && h("div", { class: "actions" },
      kind === "invites" && madeOf(counts) > 0 && saver("Save the links as CSV", () => `/api/jobs/${file}/invites.csv`, "invites.csv", { class: "main" }),
      left && saver("Save what was left", () => `/api/imports/${file}/left.csv`, "left.csv")),
    !moves(found) && left && h("p", { class: "quiet" }, "What was left says why, line by line. Mend it, then import that file again: what is made already is not in it."));
}
