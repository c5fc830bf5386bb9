// What is not needed every day, a line each.
import { fill, h } from "../dom.js";

const PARTS = [
  ["#/onboardings", "Members on their way", "Everybody who is being brought in, step by step."],
  ["#/messages", "Messages", "Write to people or rooms; who got it, and who did not."],
  ["#/bundles", "Bundles", "Named sets of rooms and groups, for invites and members."],
  ["#/templates", "Templates", "What the bot and the mails say, word by word."],
  ["#/plans", "Plans", "What would change so that everybody is where their bundles say."],
  ["#/imports", "Imports", "Members and invites from a file, tried out first."],
  ["#/jobs", "Jobs", "What was done to many at once: who succeeded, who did not and why."],
  ["#/audit", "Audit", "Who did what to whom, when, and from where."],
  ["#/self-check", "Self-check", "Everything that must be right outside of Muster, each with its fix."],
  ["#/settings", "Settings", "What is set, and where it comes from."],
];

export function show(place) {
  fill(place, h("div", { class: "head" }, h("h1", {}, "More")), h("ul", { class: "list" }, PARTS.map(([href, name, what]) =>
    h("li", { class: "item" }, h("h2", {}, h("a", { href }, name)), h("p", { class: "quiet" }, what)))));
}
