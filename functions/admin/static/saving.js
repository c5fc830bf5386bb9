// A file from the API, for the browser to save: fetched with the bearer, so that no token is in an address.
import { get } from "./api.js";
import { button, h, once, say } from "./dom.js";

const LONG = 120; // seconds: everything of a kind is written while it is read

// Everything of a kind, as `GET /api/export` has it.
export function saver(what, label) {
  const trouble = h("div", {});
  const control = button(label, () => once(control, save, trouble));
  async function save() {
    const url = URL.createObjectURL(await get(`/api/export/${what}.csv`, { file: true, seconds: LONG }));
    const day = new Date().toISOString().slice(0, 10);
    h("a", { href: url, download: `${what}-${day}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    say("Saved as a file.");
  }
  return { control, trouble };
}
