// Everybody on the way, by state.
import { chip, fill, h } from "../dom.js";
import { counted, paged } from "../lists.js";
import { plural, when } from "../words.js";

const STATES = ["", "failed", "held", "running", "waiting", "done"];
const path = (state) => (state ? `/api/onboardings?state=${state}` : "/api/onboardings");

export async function show(place, { query, signal }) {
  const state = query.get("state") || "";
  const members = paged({ path: () => path(state), row, words: words(state), signal });
  const chips = h("ul", { class: "filters", "aria-label": "By state" }, STATES.map((each) =>
    h("li", {}, h("a", { href: `#/onboardings${each && `?state=${each}`}`, "aria-current": each === state ? "true" : null }, each || "all", h("span", { class: "count" })))));
  fill(place, h("div", { class: "head" }, h("h1", {}, "Members on their way")), chips, members.list, members.foot);

  await members.begin();
  counted(chips, STATES.map(path), signal).catch(() => {});
}

const words = (state) => (page, drawn) =>
  page.total ? `${drawn.toLocaleString("en")} of ${plural(page.total, "member")}.` : state ? "Nobody." : "Nobody has come in yet: make an invite, and watch them arrive here.";

const row = (one) =>
  h("li", { class: "item" }, h("h2", {}, h("a", { href: `#/onboardings/${one.id}` }, one.member.name || one.member.username), chip(one.state)),
    h("p", { class: "quiet" }, one.member.matrix_id || one.member.username, " · begun ", when(one.created_at), one.hold_reason && ` · ${one.hold_reason}`));
