// What the bot and the mails say: each purpose with its variants, and which version is in force.
import { all } from "../api.js";
import { chip, fill, h } from "../dom.js";
import { GOES, versionInWords, variantInWords } from "../templating.js";

export async function show(place, { signal }) {
  const { items } = await all("/api/templates", 1000, { signal });
  const purposes = items.filter((one) => !one.kind);
  fill(place, h("div", { class: "head" }, h("h1", {}, "Templates")),
    h("p", { class: "quiet" }, "What newcomers are told, word by word. Change a text and the next message uses it; what was sent keeps naming its version."),
    h("ul", { class: "list" }, purposes.map((one) => row(one, items.filter((each) => each.kind && each.purpose === one.purpose)))));
}

const row = (one, variants) =>
  h("li", { class: "item" },
    h("h2", {}, h("a", { href: `#/templates/${encodeURIComponent(one.id)}` }, one.label)), chip("plain", GOES[one.goes]),
    h("p", { class: "quiet" }, `${one.when[0].toUpperCase()}${one.when.slice(1)} · `, versionInWords(one)),
    variants.length > 0 && h("p", {}, "Variants: ", variants.map((each, at) => [at > 0 && ", ", h("a", { href: `#/templates/${encodeURIComponent(each.id)}` }, variantInWords(each))])));
