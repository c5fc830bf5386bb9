// One invite: to hand over, to change, to revoke, and who came in by it.
import { each, get, patch, post } from "../api.js";
import { button, chip, copier, drafts, factList, fill, h, mark, once, problem, say, twice } from "../dom.js";
import { inviteEmail } from "../emailing.js";
import { bundleInWords, named } from "../grants.js";
import { inviteForm } from "../invite_form.js";
import { namer } from "../rooms.js";
import { sponsoring } from "../sponsor.js";
import { INVITES, plural, when, whenAndDate } from "../words.js";

export async function show(place, { id, query, signal }) {
  const path = `/api/invites/${encodeURIComponent(id)}`;
  const [invite, name] = await Promise.all([get(path, { signal }), namer()]);
  draw(place, { path, invite, name, ...(await named(invite)), signal, made: query.get("made") });
  if (query.get("made")) history.replaceState(null, "", `#/invites/${encodeURIComponent(id)}`);
}

function draw(place, about) {
  const { invite, made } = about;
  const again = async (changed, words) => {
    draw(place, { ...about, invite: changed, ...(await named(changed)), made: "" });
    say(words);
    place.querySelector("h1").focus();
  };
  fill(place,
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, made ? `The invite for ${invite.label} is made` : invite.label), chip(invite.status, INVITES[invite.status])),
    !invite.settled && h("p", { class: "quiet" }, "Authentik has not taken this over yet: it will within a minute or so."),
    invite.status === "pending" && given(about),
    inviteEmail(about),
    h("section", {}, h("h2", {}, "What it grants"), grants(about)),
    invite.sponsor && vouching(about),
    usedBy(about),
    invite.status === "revoked" ? null : editing(about, again),
    h("p", {}, h("a", { href: "#/invites" }, "All invites"), " · ", h("a", { href: "#/invites/new" }, "Another one")));
}

// ---- to hand over

function given({ invite, path, signal }) {
  const link = h("input", { readOnly: true, value: invite.link, "aria-label": "The link", onfocus: (event) => event.target.select() });
  const text = h("textarea", { readOnly: true, rows: 9, "aria-label": "Text to paste" });
  const trouble = h("div", {});
  const copy = copier(() => text.value, "Copy the text", text);
  const worded = async () => {
    text.placeholder = "Looking…";
    copy.disabled = true;
    try {
      text.value = (await get(`${path}/text`, { signal })).text;
      copy.disabled = false;
    } catch (error) {
      if (error.name === "AbortError") return;
      text.placeholder = "Not there yet. The link above works without it.";
      fill(trouble, problem(error, () => (text.focus(), fill(trouble), worded())));
    }
  };
  worded();
  const square = h("div", {});
  drawn(square, invite.link);
  const sharing = navigator.share && button("Share…", () => navigator.share({ text: text.value || invite.link }).catch(() => {}));
  return h("section", {}, h("h2", {}, "Hand it over"), h("div", { class: "given" },
    h("div", {}, link, h("p", { class: "actions" }, copier(() => invite.link, "Copy the link", link), sharing),
      h("p", {}, "Or this, to paste:"), text, trouble, h("p", { class: "actions" }, copy)),
    square));
}

async function drawn(place, text) {
  const { generate } = await import("../vendor/lean-qr-2.7.4.mjs");
  const code = generate(text);
  const size = code.size + 8;
  const squares = [];
  for (let y = 0; y < code.size; y++) for (let x = 0; x < code.size; x++) if (code.get(x, y)) squares.push(`M${x + 4} ${y + 4}h1v1h-1z`);
  const { svg } = await import("../dom.js");
  fill(place, svg("svg", { viewBox: `0 0 ${size} ${size}`, class: "qr", role: "img", "aria-label": "QR code of the link", "shape-rendering": "crispEdges" },
    svg("path", { d: squares.join(""), fill: "#000" })));
}

// ---- what it does

function grants({ invite, name, group, bundles }) {
  const facts = [
    ["Rooms", invite.rooms.length ? invite.rooms.map(name).join(", ") : "those that everybody gets"],
    invite.groups.length && ["Groups", invite.groups.map(group).join(", ")],
    ...bundles.map((bundle) => ["Bundle", bundleInWords(bundle, name, group)]),
    ["Ends", whenAndDate(invite.expires_at)],
    ["Used", `${invite.uses} of ${invite.max_uses}`],
    invite.email && ["E-mail", invite.email],
    invite.matrix_id && ["Matrix id", invite.matrix_id],
    invite.note && ["Note", invite.note],
    ["Made", [when(invite.created_at), ` by ${invite.created_by}`]],
  ];
  return [
    factList(facts),
    h("p", { class: "quiet" }, "And what every new member gets: an account, the default rooms and group, the way out of INDOC, and the welcome."),
  ];
}

function vouching({ invite, signal }) {
  const place = h("div", {});
  sponsoring(place, invite.sponsor, signal);
  return h("section", {}, h("h2", {}, `Vouched for by ${invite.sponsor}`), place);
}

function usedBy({ invite, signal }) {
  if (!invite.used_by.length) return h("section", {}, h("h2", {}, "Who came in by it"), h("p", { class: "quiet" }, "Nobody yet."));
  const ids = invite.used_by.slice(-30).reverse();
  const list = h("ul", { class: "rows" }, h("li", { class: "quiet" }, "Looking…"));
  each(ids, (id) => get(`/api/onboardings/${id}`, { signal })).then((found) =>
    fill(list, found.map(({ value: one, error }, at) =>
      h("li", {}, h("a", { href: `#/onboardings/${ids[at]}` }, one ? one.member.name || one.member.username : ids[at]), " ",
        one && [chip(one.state), h("span", { class: "quiet" }, " ", when(one.created_at))], error && h("span", { class: "wrong" }, ` ${error.detail}`)))));
  return h("section", {}, h("h2", {}, `Who came in by it: ${plural(invite.used_by.length, "member")}`), list);
}

// ---- to change

function editing(about, again) {
  const { path, invite } = about;
  const place = h("div", {});
  const box = h("details", { class: "box" }, h("summary", {}, "Change or revoke"), place);
  if (drafts.find(`invite.${invite.id}`)) box.open = true;
  box.addEventListener("toggle", () => box.open && !place.children.length && fill(place, form(about, again), revoking(path, invite, again)));
  return box;
}

function form({ path, invite }, again) {
  const draft = `invite.${invite.id}`;
  const inner = inviteForm({ known: invite, draft: drafts.find(draft) || {}, changed: () => drafts.keep(draft, inner.typed()) });
  const trouble = h("div", {});
  const send = h("button", { class: "main" }, "Save");
  const element = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, save, trouble)) }, inner.element, trouble, h("p", { class: "actions" }, send));
  async function save() {
    mark(element);
    const values = Object.entries(inner.values()).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(invite[name]));
    if (!values.length) return say("Nothing has changed.");
    try {
      const saved = await patch(path, Object.fromEntries(values));
      drafts.drop(draft);
      return again(saved, "Saved.");
    } catch (error) {
      mark(element, error.errors);
      return fill(trouble, problem(error));
    }
  }
  return element;
}

function revoking(path, invite, again) {
  const trouble = h("div", {});
  const act = async () => again(await post(`${path}/revoke`), "Revoked: the link works no more.");
  return h("div", {}, h("p", { class: "quiet" }, "Revoking ends the link. Who has come in by it stays."), trouble,
    h("p", { class: "actions" }, twice("Revoke…", "Yes: the link ends now", act, trouble)));
}
