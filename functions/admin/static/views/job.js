// One job, item by item. Moves by itself.
import { chip, factList, fill, h } from "../dom.js";
import { follow, jobTitle, JOB_STATES } from "../job.js";
import { whenAndDate } from "../words.js";

export async function show(place, { id, signal }) {
  const head = h("div", { class: "head" });
  const facts = h("section", { class: "card" });
  const items = h("div", {});
  let key = "";

  function drawn(job) {
    const now = JSON.stringify([job.state, job.finished_at]);
    if (now === key) return;
    key = now;
    const title = head.querySelector("h1") || h("h1", {}, jobTitle(job));
    head.querySelector(".chip")?.remove();
    if (!title.isConnected) head.append(title);
    head.append(chip(job.state, JOB_STATES[job.state]));
    fill(facts, factList([
      ["Asked for by", job.actor],
      ["Begun", whenAndDate(job.created_at)],
      job.finished_at && ["Ended", whenAndDate(job.finished_at)],
      job.reason && job.kind !== "bulk" && ["Reason", job.reason],
      job.message && ["Told before", job.message],
      job.part_of && ["Part of", h("a", { href: `#/jobs/${job.part_of}` }, "this job")],
    ]));
  }

  fill(items);
  await follow(items, id, { signal, drawn });
  fill(place, head, items, facts, h("p", {}, h("a", { href: "#/jobs" }, "All jobs")));
}
