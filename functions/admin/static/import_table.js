// What became of each line of an import, or would become: the same table for the trial and for the real run.
import { button, chip, fill, h } from "./dom.js";
import { capital, plural } from "./words.js";

const AT_ONCE = 100;
export const LINES = { would_create: "would be made", pending: "to be made", created: "made", skipped: "left out", failed: "cannot be made", left: "not begun" };
const CHIPS = { would_create: "good", pending: "pending", created: "done", skipped: "waiting", failed: "failed", left: "waiting" };
const WELL = ["created", "would_create", "pending"];

export const NOUNS = { users: ["member", "members"], invites: ["invite", "invites"] };
export const many = (kind, count) => plural(count, ...NOUNS[kind]);
export const madeOf = (counts) => counts.created || 0;
export const notMade = (counts) => (counts.failed || 0) + (counts.skipped || 0) + (counts.left || 0);
export const inWords = (counts) => Object.entries(LINES).filter(([state]) => counts[state]).map(([state, words]) => `${counts[state].toLocaleString("en")} ${words}`).join(", ");
export const counted = (lines) => lines.reduce((counts, { state }) => ({ ...counts, [state]: (counts[state] || 0) + 1 }), {});

// What succeeds first, then what does not, by name and with what to do next.
export function table(lines, kind) {
  const well = lines.filter((line) => WELL.includes(line.state));
  const bad = lines.filter((line) => !WELL.includes(line.state));
  return [
    well.length > 0 && part(well, kind, bad.length > 0 || well.length > 10, inWords(counted(well))),
    bad.length > 0 && part(bad, kind, false, inWords(counted(bad)), "needs"),
  ];
}

function part(lines, kind, folded, words, more = "") {
  const list = h("ul", { class: "rows lines-of-file" });
  const foot = h("p", { class: "actions" });
  const next = () => {
    list.append(...lines.slice(list.children.length, list.children.length + AT_ONCE).map((line) => row(line, kind)));
    const left = lines.length - list.children.length;
    fill(foot, left > 0 && button(`Show ${Math.min(left, AT_ONCE)} more of ${lines.length.toLocaleString("en")}`, next));
  };
  next();
  const title = capital(words);
  return h("section", { class: `card ${more}` }, folded ? h("details", {}, h("summary", {}, h("strong", {}, title)), list, foot) : [h("h2", {}, title), list, foot]);
}

function row(line, kind) {
  const href = line.onboarding ? `#/onboardings/${line.onboarding}` : kind === "invites" && line.id ? `#/invites/${line.id}` : "";
  const name = line.label || line.username || `Line ${line.line}`;
  return h("li", {},
    h("span", { class: "quiet" }, `${line.line}. `), href ? h("a", { href }, name) : h("strong", {}, name), " ", chip(CHIPS[line.state], LINES[line.state]),
    line.username && h("span", { class: "quiet" }, ` ${line.username}`),
    line.errors.length > 0 ? h("ul", { class: "wrong" }, line.errors.map((each) => h("li", {}, h("code", {}, each.field), `: ${each.message}`))) : line.cause && h("p", {}, `${/^\S*[@!#]/.test(line.cause) ? line.cause : capital(line.cause)}. ${line.fix}`));
}
