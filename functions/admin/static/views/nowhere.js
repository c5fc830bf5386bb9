import { fill, h } from "../dom.js";

export function show(place) {
  fill(place, h("h1", {}, "There is no such page"), h("p", {}, h("a", { href: "#/" }, "Go home")));
}
