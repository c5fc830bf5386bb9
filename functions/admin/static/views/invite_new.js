// An invite in ten seconds: who it is for, and Make it.
import { post } from "../api.js";
import { drafts, fill, h, mark, once, refused } from "../dom.js";
import { inviteForm } from "../invite_form.js";

const DRAFT = "invite";

export function show(place) {
  let key = crypto.randomUUID?.() || String(Math.random());
  let sent = "";
  const form = inviteForm({ draft: drafts.find(DRAFT) || {}, changed: () => drafts.keep(DRAFT, form.typed()) });
  const trouble = h("div", {});
  const send = h("button", { class: "main" }, "Make the invite");
  const element = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, make, trouble)) },
    form.element, trouble, h("p", { class: "actions" }, send, h("a", { class: "button", href: "#/invites" }, "Back")));

  // The same words under the same key are the same invite, however often they are sent.
  async function make() {
    mark(element);
    const values = form.values();
    if (!values.label) return mark(element, [{ field: "label", message: "Say who it is for." }]);
    const body = JSON.stringify(values);
    if (sent && sent !== body) key = crypto.randomUUID();
    sent = body;
    try {
      const made = await post("/api/invites", values, { key });
      drafts.drop(DRAFT);
      location.hash = `#/invites/${made.id}?made=1`;
    } catch (error) {
      refused(element, error, trouble);
    }
    return undefined;
  }

  fill(place, h("div", { class: "head" }, h("h1", {}, "Invite somebody")), element);
}
