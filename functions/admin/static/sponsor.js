// Who vouches for newcomers: how many can still come by their invites, and one click to hold whoever does.
import { get, post } from "./api.js";
import { fill, h, once, problem, say } from "./dom.js";
import { plural, when } from "./words.js";

const SHOWN = 5;

export async function sponsoring(place, sponsor, signal) {
  const read = async () => {
    try {
      draw(await get(`/api/sponsors?sponsor=${encodeURIComponent(sponsor)}`, { signal }));
    } catch (error) {
      if (!signal.aborted) fill(place, problem(error, read));
    }
  };

  function draw(found) {
    const trouble = h("div", {});
    const act = async () => {
      draw(await post(found.paused ? "/api/sponsors/resume" : "/api/sponsors/pause", { sponsor }));
      say(found.paused ? "Their links work again." : "Paused: whoever comes now waits for you.");
      place.querySelector("button").focus();
    };
    const press = h("button", { type: "button", onclick: () => once(press, act, trouble) }, found.paused ? "Resume their invites" : "Pause all their invites");
    const open = found.invites;
    fill(place,
      found.paused && h("p", { role: "status" }, h("strong", {}, "Paused"), ` by ${found.paused_by}, `, when(found.paused_at), ". Whoever comes by one of their invites is held until an admin decides. No link is lost."),
      h("p", {}, open.length ? `${plural(open.length, "open invite")}, used ${plural(found.came, "time")} so far:` : "None of their invites is open."),
      open.length > 0 && h("ul", { class: "rows" }, open.slice(0, SHOWN).map((one) => h("li", {}, h("a", { href: `#/invites/${encodeURIComponent(one.id)}` }, one.label), h("span", { class: "quiet" }, ` · ${one.uses} of ${one.max_uses} · ends `, when(one.expires_at))))),
      open.length > SHOWN && h("p", { class: "quiet" }, `And ${open.length - SHOWN} more.`),
      trouble, h("p", { class: "actions" }, press));
  }

  fill(place, h("p", { class: "quiet" }, "Looking…"));
  await read();
}
