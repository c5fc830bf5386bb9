// A message's HTML as clients show it: rebuilt as elements from the few tags that they have. The server has sanitized it; here
// nothing of it is ever read as HTML, so that what was overlooked there is text.
import { h } from "./dom.js";

const KEPT = new Set(["p", "br", "strong", "b", "em", "i", "u", "del", "code", "pre", "blockquote", "ul", "ol", "li", "hr"]);
const EMPTY = new Set(["br", "hr", "img"]);
const HEADING = /^h[1-6]$/;
const ADDRESS = /^(https?|mailto|matrix):/i;
const PERSON = /^https:\/\/matrix\.to\/#\/@/; // a mention: a pill in a client, and nowhere to go from here
const PIECES = /<(\/?)([a-z][a-z0-9]*)((?:\s[^<>]*)?)>|[^<]+|</gi;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

export function rich(html) {
  const root = { tag: "", attributes: "", children: [] };
  const open = [root];
  for (const [whole, closing, name, attributes] of html.matchAll(PIECES)) {
    const [tag, top] = [name?.toLowerCase(), open[open.length - 1]];
    if (!tag) top.children.push(plain(whole));
    else if (!closing) {
      const node = { tag, attributes, children: [] };
      top.children.push(node);
      if (!EMPTY.has(tag)) open.push(node);
    } else if (open.some((each) => each.tag === tag)) while (open.pop().tag !== tag);
  }
  return h("div", { class: "rich" }, root.children.map(made));
}

function made(node) {
  if (typeof node === "string") return node;
  const { tag, attributes } = node;
  const inner = node.children.map(made);
  const address = tag === "a" && plain(/\shref="([^"]*)"/i.exec(attributes)?.[1] || "");
  if (address && PERSON.test(address)) return h("span", { class: "pill" }, inner);
  if (address && ADDRESS.test(address)) return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, inner);
  if (HEADING.test(tag)) return h("p", {}, h("strong", {}, inner));
  return KEPT.has(tag) ? h(tag, {}, inner) : inner;
}

const plain = (text) => text.replace(/&(#x[0-9a-f]+|#\d+|[a-z]+);/gi, (whole, name) => {
  if (name[0] !== "#") return ENTITIES[name.toLowerCase()] ?? whole;
  const code = /^#x/i.test(name) ? parseInt(name.slice(2), 16) : Number(name.slice(1));
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
});
