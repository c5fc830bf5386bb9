// HTML that the server has rendered from a template, as elements: only the tags that Matrix clients show are made, one by
// one, so that nothing in it can run, load or leave the page.
import { h } from "./dom.js";

const TAGS = new Set("A B BLOCKQUOTE BR CODE DEL DIV EM H1 H2 H3 H4 H5 H6 HR I LI OL P PRE S SPAN STRONG SUB SUP TABLE TBODY TD TH THEAD TR U UL".split(" "));
const HEADING = /^H[1-6]$/;

export function rendered(html) {
  return [...new DOMParser().parseFromString(html, "text/html").body.childNodes].map(element);
}

function element(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.textContent;
  if (node.nodeType !== Node.ELEMENT_NODE) return null;
  const inner = [...node.childNodes].map(element);
  if (!TAGS.has(node.tagName)) return inner;
  if (node.tagName === "A") return link(node, inner);
  // A heading of a message is no heading of this page.
  return HEADING.test(node.tagName) ? h("p", {}, h("strong", {}, inner)) : h(node.tagName.toLowerCase(), {}, inner);
}

function link(node, inner) {
  const href = node.getAttribute("href") || "";
  if (/^https:\/\/matrix\.to\/#\/@/.test(href)) return h("span", { class: "pill" }, inner);
  return /^(https?|mailto):/.test(href) ? h("a", { href, target: "_blank", rel: "noreferrer noopener" }, inner) : inner;
}
