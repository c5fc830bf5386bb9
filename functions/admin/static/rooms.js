// Rooms by name: kept for some minutes, since every form and every step wants them.
import { all } from "./api.js";
import { keeper, picker as pickerOf } from "./picker.js";
import { plural } from "./words.js";

export const rooms = keeper(() => all("/api/rooms", 4000).then(({ items }) => items));

// The name of a room, by id or alias; what it is called by, where nobody knows better.
export async function namer() {
  const found = await rooms().catch(() => []);
  const names = new Map(found.flatMap((room) => [[room.room_id, room.name], [room.alias, room.name]]));
  return (room) => names.get(room) || room;
}

export const picker = (chosen = [], told = () => {}) => pickerOf({
  field: "rooms", legend: "Rooms", nouns: ["room", "rooms"], search: "Search by name or topic", chosen, told,
  empty: "The bot is in no room yet: invite it into one in your Matrix client.",
  load: async () => (await rooms()).filter((room) => room.kind !== "direct").map((room) =>
    ({ id: room.room_id, name: room.name, detail: plural(room.members, "member"), text: `${room.topic} ${room.alias}` })),
});
