// A message's HTML as clients show it: rebuilt from the few elements that they have, so that no markup of anybody becomes
// the page's own. What is read by DOMParser neither runs nor loads anything.
import { h } from "./dom.js";

const KEPT = new Set(["p", "br", "strong", "b", "em", "i", "u", "del", "code", "pre", "blockquote", "ul", "ol", "li", "hr"]);
const HEADINGS = /^h[1-6]$/;
const ADDRESS = /^(https?|mailto|matrix):/i;

export const rich = (html) => h("div", { class: "rich" }, [...new DOMParser().parseFromString(html, "text/html").body.childNodes].map(made));

function made(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.textContent;
  if (node.nodeType !== Node.ELEMENT_NODE) return null;
  const [tag, inner] = [node.localName, [...node.childNodes].map(made)];
  if (tag === "a" && ADDRESS.test(node.getAttribute("href") || "")) return h("a", { href: node.getAttribute("href"), target: "_blank", rel: "noopener noreferrer" }, inner);
  if (HEADINGS.test(tag)) return h("p", {}, h("strong", {}, inner));
  return KEPT.has(tag) ? h(tag, {}, inner) : inner;
}
