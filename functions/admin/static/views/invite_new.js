// An invite in ten seconds: who it is for, and Make it.
import { post } from "../api.js";
import { drafts, fill, h, keyed, mark, once, refused } from "../dom.js";
import { inviteForm } from "../invite_form.js";

const DRAFT = "invite";

export function show(place) {
  const keyOf = keyed();
  const form = inviteForm({ draft: drafts.find(DRAFT) || {}, changed: () => drafts.keep(DRAFT, form.typed()) });
  const trouble = h("div", {});
  const send = h("button", { class: "main" }, "Make the invite");
  const element = h("form", { novalidate: true, onsubmit: (event) => (event.preventDefault(), once(send, make, trouble)) },
    form.element, trouble, h("p", { class: "actions" }, send, h("a", { class: "button", href: "#/invites" }, "Back")));

  async function make() {
    mark(element);
    const values = form.values();
    if (!values.label) return mark(element, [{ field: "label", message: "Say who it is for." }]);
    try {
      const made = await post("/api/invites", values, { key: keyOf(values) });
      drafts.drop(DRAFT);
      location.hash = `#/invites/${made.id}?made=1`;
    } catch (error) {
      refused(element, error, trouble);
    }
    return undefined;
  }

  fill(place, h("div", { class: "head" }, h("h1", {}, "Invite somebody")), element);
}
