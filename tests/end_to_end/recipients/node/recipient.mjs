// A member's client in small, on the crypto of the clients: reads one JSON object per line and answers each with one
// line, {"answer": ...} or {"error": "..."}. Ends with its input. The keys live in memory alone.

import { createInterface } from "node:readline";
import * as sdk from "@matrix-org/matrix-sdk-crypto-wasm";

const SHIELDS = { [sdk.ShieldColor.Red]: "red", [sdk.ShieldColor.Grey]: "grey", [sdk.ShieldColor.None]: "none" };
const me = { machine: null, url: "", token: "", user: "", since: "", trust: null, transaction: 0 };

async function http(method, path, body) {
  const answer = await fetch(`${me.url}/_matrix/client/v3/${path}`, {
    method,
    headers: { Authorization: `Bearer ${me.token}`, "Content-Type": "application/json" },
    body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text;
}

async function send(request) {
  const paths = {
    [sdk.RequestType.KeysUpload]: () => http("POST", "keys/upload", request.body),
    [sdk.RequestType.KeysQuery]: () => http("POST", "keys/query", request.body),
    [sdk.RequestType.KeysClaim]: () => http("POST", "keys/claim", request.body),
    [sdk.RequestType.SignatureUpload]: () => http("POST", "keys/signatures/upload", request.body),
    [sdk.RequestType.ToDevice]: () =>
      http("PUT", `sendToDevice/${request.event_type}/${encodeURIComponent(request.txn_id)}`, request.body),
  };
  const said = await paths[request.type]();
  if (request.id) await me.machine.markRequestAsSent(request.id, request.type, said);
}

async function pump() {
  for (let requests = await me.machine.outgoingRequests(); requests.length; ) {
    for (const request of requests) await send(request);
    requests = await me.machine.outgoingRequests();
  }
}

async function members(room) {
  const said = JSON.parse(await http("GET", `rooms/${encodeURIComponent(room)}/joined_members`));
  return Object.keys(said.joined);
}

const ids = (users) => users.map((user) => new sdk.UserId(user)); // used up by each call of the machine

async function shown(event, room) {
  const { event_id, sender, content } = event;
  if (event.type === "m.room.message") return { event_id, sender, body: content.body };
  try {
    const settings = new sdk.DecryptionSettings(me.trust);
    const read = await me.machine.decryptRoomEvent(JSON.stringify(event), new sdk.RoomId(room), settings);
    const shield = read.shieldState(false); // not strict: as clients show members whom one has not verified oneself
    const why = shield.message ?? "";
    return { event_id, sender, body: JSON.parse(read.event).content.body, shield: SHIELDS[shield.color], why };
  } catch (error) {
    return { event_id, sender, body: null, why: String(error.description ?? error.message ?? error) };
  }
}

const does = {
  async enter({ url, user_id, device_id, access_token, sign, onlySigned }) {
    await sdk.initAsync();
    const trust = onlySigned ? sdk.TrustRequirement.CrossSigned : sdk.TrustRequirement.Untrusted;
    Object.assign(me, { url, token: access_token, user: user_id, trust });
    me.machine = await sdk.OlmMachine.initialize(new sdk.UserId(user_id), new sdk.DeviceId(device_id));
    await pump();
    if (sign) {
      const made = await me.machine.bootstrapCrossSigning(true);
      if (made.uploadKeysRequest) await send(made.uploadKeysRequest);
      await http("POST", "keys/device_signing/upload", made.uploadSigningKeysRequest.body);
      await send(made.uploadSignaturesRequest);
    }
    await does.sync();
  },

  async join({ room }) {
    await http("POST", `join/${encodeURIComponent(room)}`, {});
  },

  async sync() {
    const said = JSON.parse(await http("GET", `sync?timeout=0${me.since ? `&since=${me.since}` : ""}`));
    const { changed = [], left = [] } = said.device_lists ?? {};
    const joined = await Promise.all(Object.keys(said.rooms?.join ?? {}).map(members));
    await me.machine.updateTrackedUsers(ids([...new Set(joined.flat())]));
    await me.machine.receiveSyncChanges(
      JSON.stringify(said.to_device?.events ?? []),
      new sdk.DeviceLists(ids(changed), ids(left)),
      new Map(Object.entries(said.device_one_time_keys_count ?? {})),
      new Set(said.device_unused_fallback_key_types ?? []),
      new sdk.DecryptionSettings(me.trust),
    );
    await pump();
    me.since = said.next_batch;
  },

  async seen({ room }) {
    await does.sync();
    const said = JSON.parse(await http("GET", `rooms/${encodeURIComponent(room)}/messages?dir=f&limit=100`));
    const events = said.chunk.filter((event) => ["m.room.message", "m.room.encrypted"].includes(event.type));
    const all = [];
    for (const event of events) all.push(await shown(event, room));
    return all;
  },

  async say({ room, body }) {
    await does.sync();
    const users = await members(room);
    await me.machine.updateTrackedUsers(ids(users));
    await pump();
    const claim = await me.machine.getMissingSessions(ids(users));
    if (claim) await send(claim);
    const settings = new sdk.EncryptionSettings();
    for (const request of await me.machine.shareRoomKey(new sdk.RoomId(room), ids(users), settings)) await send(request);
    const content = JSON.stringify({ msgtype: "m.text", body });
    const event = await me.machine.encryptRoomEvent(new sdk.RoomId(room), "m.room.message", content);
    await http("PUT", `rooms/${encodeURIComponent(room)}/send/m.room.encrypted/m${++me.transaction}`, event);
  },

  async isSigned({ user, device }) {
    await send(me.machine.queryKeysForUsers(ids([user])));
    const found = await me.machine.getDevice(new sdk.UserId(user), new sdk.DeviceId(device));
    return found?.isCrossSignedByOwner() ?? false;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ answer: (await does[what](rest)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.stack ?? error) }));
  }
}
process.exit(0);
