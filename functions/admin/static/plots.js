// Small drawings with the same numbers in a table beside them, for who does not see them.
import { h, svg } from "./dom.js";

const WIDTH = 300;
const HEIGHT = 90;

// `rows`: [{label, values: [a, b]}]; `names`: of the values. Bars side by side over one scale.
export function bars(title, names, rows) {
  const top = Math.max(1, ...rows.flatMap((row) => row.values));
  const step = WIDTH / rows.length;
  const width = (step * 0.8) / names.length;
  const drawn = rows.flatMap((row, at) =>
    row.values.map((value, which) => {
      const high = (value / top) * (HEIGHT - 4);
      const x = at * step + step * 0.1 + which * width;
      return svg("rect", { x: x.toFixed(1), y: (HEIGHT - high).toFixed(1), width: width.toFixed(1), height: high.toFixed(1), class: `series-${which}` },
        svg("title", {}, `${row.label}: ${value} ${names[which]}`));
    }));
  const totals = names.map((name, which) => `${rows.reduce((sum, row) => sum + row.values[which], 0)} ${name}`);
  const label = `${title}: ${totals.join(", ")}`;
  return h("figure", {},
    h("figcaption", {}, title, " ", names.map((name, which) => h("span", { class: `key series-${which}` }, totals[which]))),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, preserveAspectRatio: "none", class: "bars" },
      svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }), drawn),
    h("div", { class: "ends" }, h("span", {}, rows[0]?.label), h("span", {}, `most on a day: ${top}`), h("span", {}, rows.at(-1)?.label)),
    table(["Day", ...names], rows.map((row) => [row.label, ...row.values])));
}

// One line for each: `rows` [{label, value, text, state}], as long as its share of the longest.
export function lines(title, rows, head = ["", ""], more = "") {
  const top = Math.max(1, ...rows.map((row) => row.value || 0));
  return h("figure", {},
    h("figcaption", {}, title),
    h("table", { class: `lines ${more}` },
      h("thead", { class: "unseen" }, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map((row) => h("tr", {},
        h("th", { scope: "row" }, row.label),
        h("td", {}, svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
          svg("rect", { width: Math.max(row.value ? 1 : 0, (100 * (row.value || 0)) / top), height: 10, class: `is-${row.state || "plain"}` })),
          h("span", {}, row.text ?? row.value)))))));
}

function table(head, rows) {
  return h("details", { class: "numbers" }, h("summary", {}, "The numbers"),
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "The numbers" }, h("table", {},
      h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map(([label, ...values]) =>
        h("tr", {}, h("th", { scope: "row" }, label), values.map((value) => h("td", {}, value))))))));
}
