// Everybody on the way, by state.
import { get } from "../api.js";
import { button, chip, fill, h, problem } from "../dom.js";
import { plural, when } from "../words.js";

const STATES = ["", "failed", "held", "running", "waiting", "done"];

export async function show(place, { query, signal }) {
  const state = query.get("state") || "";
  const list = h("ul", { class: "list" });
  const foot = h("div", { class: "actions", role: "status" });
  const chips = h("ul", { class: "filters", "aria-label": "By state" }, STATES.map((each) =>
    h("li", {}, h("a", { href: `#/onboardings${each && `?state=${each}`}`, "aria-current": each === state ? "true" : null }, each || "all", h("span", { class: "count" })))));
  fill(place, h("div", { class: "head" }, h("h1", {}, "Members on their way")), chips, list, foot);

  async function more(cursor) {
    try {
      const page = await get(`/api/onboardings?limit=50${state && `&state=${state}`}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`, { signal });
      list.append(...page.items.map(row));
      const text = page.total ? `${list.children.length} of ${plural(page.total, "member")}.` : state ? "Nobody." : "Nobody has come in yet: make an invite, and watch them arrive here.";
      fill(foot, h("p", { class: "quiet" }, text), page.next_cursor && button("Show more", () => more(page.next_cursor)));
    } catch (error) {
      if (!signal.aborted) fill(foot, problem(error, () => more(cursor)));
    }
  }

  await more("");
  Promise.all(STATES.map((each) => get(`/api/onboardings?limit=1${each && `&state=${each}`}`, { signal })))
    .then((pages) => pages.forEach((page, at) => (chips.querySelectorAll(".count")[at].textContent = page.total.toLocaleString("en"))))
    .catch(() => {});
}

const row = (one) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: `#/onboardings/${one.id}` }, one.member.name || one.member.username), chip(one.state)),
    h("p", { class: "quiet" }, one.member.matrix_id || one.member.username, " · begun ", when(one.created_at), one.hold_reason && ` · ${one.hold_reason}`));
