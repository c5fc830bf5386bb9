// What was done to many at once, the newest first.
import { fill, h } from "../dom.js";
import { jobRow, JOB_STATES } from "../job.js";
import { chooser, counted, paged } from "../lists.js";
import { plural } from "../words.js";

const STATES = [["", "All"], ...Object.entries(JOB_STATES)];

export async function show(place, { query, signal }) {
  const state = query.get("state") || "";
  const path = (each) => `/api/jobs?state=${each}`;
  const words = (page, drawn) => (page.total ? `${drawn} of ${plural(page.total, "job")}.` : state ? "None." : "No job yet. Whatever is done to many people or rooms at once shows up here: begin with People or Rooms.");
  const jobs = paged({ path: () => path(state), row: jobRow, words, signal });
  const states = chooser("By state", STATES, state, (each) => `#/jobs${each && `?state=${each}`}`);
  fill(place, h("div", { class: "head" }, h("h1", {}, "Jobs")), states.element, jobs.list, jobs.foot);
  await jobs.begin();
  counted(states.element, STATES.map(([each]) => path(each)), signal).catch(() => {});
}
