// What a plan's states, lines and problems are called.
import { Problem } from "./api.js";

export const STATES = { planned: ["to be looked at", "pending"], old: ["too old", "expired"], applied: ["applied", "done"], undone: ["undone", "plain"] };

// In the order in which they are shown: heading, one of them, many of them.
export const KINDS = {
  invite: ["Invited", "invite", "invites"],
  join: ["Joined at once", "join", "joins"],
  level: ["Another power", "change of power", "changes of power"],
  remove: ["Out of rooms", "removal", "removals"],
  keep: ["Left as it is, and why", "left as it is", "left as they are"],
};

export function summary(counts) {
  const parts = Object.entries(KINDS).filter(([kind]) => kind !== "keep" && counts[kind]).map(([kind, [, one, many]]) => `${counts[kind].toLocaleString("en")} ${counts[kind] === 1 ? one : many}`);
  return parts.length ? parts.join(", ") : "Nothing to do";
}

// A fix is written for those who use the API; here there are buttons for it.
export function inWords(error) {
  const fix = (error.fix || "")
    .replace(/Ask for a sync \(POST \/api\/sync\), wait for its end \(GET \/api\/sync says what is wrong\)/, "Press Read again on Rooms, wait for its end")
    .replace(/There is no cache yet: POST \/api\/sync, wait for its end \(GET \/api\/sync\)/, "Nothing was read yet: press Read again on Rooms, wait for its end")
    .replace(/ *If that is what you want, send "removals": \d+\./, "If that is what you want, type the number.");
  return new Problem(error.detail || error.message, fix, { status: error.status, errors: error.errors, retryAfter: error.retryAfter });
}
