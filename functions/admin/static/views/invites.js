// All invites: by state, or by what is searched for.
import { get } from "../api.js";
import { button, chip, fill, h, later, problem, say } from "../dom.js";
import { counted } from "../lists.js";
import { INVITES, plural, when } from "../words.js";

const STATES = [["", "All"], ...Object.entries(INVITES)];
const AT_ONCE = 1000; // looked through by a search before it asks whether to go on

export async function show(place, { query, signal }) {
  const status = query.get("status") || "";
  const list = h("ul", { class: "list" });
  const foot = h("div", { class: "actions", role: "status" });
  const search = h("input", { type: "search", "aria-label": "Search invites", placeholder: "Search by label, e-mail, note…", value: query.get("q") || "", oninput: later(begin) });
  const chips = h("ul", { class: "filters", "aria-label": "By state" }, STATES.map(([state, text]) => filter(state, text, status, null)));
  fill(place, h("div", { class: "head" }, h("h1", {}, "Invites"), h("a", { class: "button main", href: "#/invites/new" }, "Invite somebody")),
    chips, h("div", { class: "field" }, search), list, foot);
  let run = 0;

  const path = (limit, cursor) => `/api/invites?limit=${limit}${status && `&status=${status}`}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;

  async function begin() {
    fill(list);
    await more("", ++run, 0);
  }

  // A page; while searching, as many as it takes to find something, and no end of them only when asked.
  async function more(cursor, mine, seen) {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const until = seen + (words.length ? AT_ONCE : 1);
    try {
      do {
        const page = await get(path(words.length ? 200 : 50, cursor), { signal });
        if (mine !== run) return;
        seen += page.items.length;
        cursor = page.next_cursor;
        list.append(...page.items.filter((one) => words.every((word) => textOf(one).includes(word))).map(row));
        tell(page.total, seen, cursor, words.length, mine);
      } while (cursor && seen < until);
    } catch (error) {
      if (mine === run && !signal.aborted) fill(foot, problem(error, () => more(cursor, mine, seen)));
    }
  }

  function tell(total, seen, cursor, searching, mine) {
    const found = list.children.length;
    const text = searching ? `${plural(found, "invite")} found in ${seen.toLocaleString("en")} of ${total.toLocaleString("en")}.` : total ? `${found} of ${plural(total, "invite")}.` : status ? "None." : "No invite has been made yet.";
    fill(foot, h("p", { class: "quiet" }, text), cursor && button(searching ? "Search on" : "Show more", (event) => {
      event.target.disabled = true;
      more(cursor, mine, seen);
    }));
  }

  await begin();
  if (!signal.aborted) counted(chips, STATES.map(([state]) => (state ? `/api/invites?status=${state}` : "/api/invites")), signal).catch(() => signal.aborted || say("The counts could not be read."));
}

const filter = (state, text, status, count) =>
  h("li", {}, h("a", { href: `#/invites${state && `?status=${state}`}`, "aria-current": state === status ? "true" : null }, text, h("span", { class: "count" }, count === null ? "" : count.toLocaleString("en"))));

const textOf = (one) => [one.label, one.email, one.note, one.matrix_id, one.sponsor, one.created_by].join(" ").toLowerCase();

const row = (one) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: `#/invites/${one.id}` }, one.label), chip(one.status, INVITES[one.status])),
    h("p", { class: "quiet" }, `Used ${one.uses} of ${one.max_uses} · ${plural(one.rooms.length, "room")} · ${one.status === "expired" ? "ended" : "ends"} `, when(one.expires_at), one.email && ` · ${one.email}`));
