"""`FakeChat` that keeps `Keys`' promises too, as the one real client does; held to them by
`tests/contracts/test_keys.py`. Its members' devices hold real keys and can tell what they can read."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.adapters.canonical import mapping, verify_signature
from shared.adapters.cross_signing import Identity
from shared.adapters.olm import Sealer, make_account
from shared.domain.errors import Refused
from shared.ports import Data
from tests.fakes.chat import FakeChat
from tests.fakes.chat import _port as port
from tests.fakes.devices import MemberDevice, Unreadable

OWN = ("master", "self_signing", "user_signing")
SAID = ("m.room.encrypted", "m.room.message", "m.room.member")
Key = tuple[str, str]
"""User and device."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a position of /sync means. `rooms`: how many messages and moves each had."""

    box: int = 0
    at: int = 0
    rooms: dict[str, tuple[int, int]] = field(default_factory=dict)


class FakeKeys(FakeChat):
    """Set it up with `add_sealer`, `add_device`, `add_identity`, `publish` and `remove_device`, speak for members with `write`;
    ask `read` what a device can read. `silent`: domains that do not answer. What was set up may be forged: the
    homeserver's answers are in `device_keys`, `one_time_keys` and `fallback_keys`, to be changed at will."""

    def __init__(self, user_id: str = "@muster:fake.test", device_id: str = "FAKE") -> None:
        super().__init__(user_id, device_id)
        self.device_keys: dict[str, dict[str, Data]] = {}
        self.one_time_keys: dict[Key, dict[str, Data]] = {}
        self.fallback_keys: dict[Key, dict[str, Data]] = {}
        self.signing_keys: dict[str, dict[str, Data]] = {}
        self.inboxes: dict[Key, list[tuple[int, Data]]] = {}
        self.silent: set[str] = set()
        self.data: dict[str, Data] = {}
        self._identities: dict[str, Identity] = {}
        self._sent: set[tuple[str, str]] = set()
        self._changes: list[tuple[int, str]] = []
        self.timeline_limit, self.page_size, self.box_limit = 50, 100, 100
        self._marks: dict[str, _Mark] = {}
        self._left_out: dict[str, list[Data]] = {}
        self._moves: dict[str, list[Data]] = {}
        self._clock = 0

    # ------------------------------------------------------------------ setting it up

    def add_sealer(self, pickle_key: bytes = b"k" * 32) -> Sealer:
        """The bot's own device, published as set-up does it."""
        new = make_account(self.user_id, self.device_id, pickle_key)
        self.publish(self.user_id, self.device_id, {"device_keys": new.device_keys, "fallback_keys": new.fallback_keys})
        return Sealer(self.user_id, self.device_id, new.account, pickle_key)

    def add_identity(self, user_id: str) -> Identity:
        """Cross-signing keys; devices added later are signed with them."""
        self._identities[user_id] = identity = Identity.make(user_id)
        self._take_signing_keys(user_id, identity.upload())
        return identity

    def add_device(self, user_id: str, device_id: str = "", **more: Any) -> MemberDevice:
        """`more`: name, one_time_keys, fallback (see `MemberDevice`)."""
        self.users.add(user_id)
        device = MemberDevice(user_id, device_id, identity=self._identities.get(user_id), **more)
        self.publish(user_id, device.device_id, device.upload, device.name)
        return device

    def publish(self, user_id: str, device_id: str, upload: Data, name: str = "") -> None:
        key = (user_id, device_id)
        if upload.get("device_keys"):
            shown = copy.deepcopy(upload["device_keys"])
            known = self.device_keys.get(user_id, {}).get(device_id, {})
            if known.get("keys") == shown["keys"]:  # then signatures that were added stay
                shown["signatures"] = {**known["signatures"], **shown["signatures"]}
                shown["signatures"][user_id] = known["signatures"][user_id] | shown["signatures"][user_id]
            shown["unsigned"] = {"device_display_name": name} if name else {}
            self.device_keys.setdefault(user_id, {})[device_id] = shown
            self._changes.append((self._tick(), user_id))
        self.one_time_keys.setdefault(key, {}).update(copy.deepcopy(upload.get("one_time_keys", {})))
        if upload.get("fallback_keys"):
            self.fallback_keys[key] = copy.deepcopy(upload["fallback_keys"])

    def remove_device(self, device: MemberDevice) -> None:
        """As logging out does, or deleting it."""
        key = (device.user_id, device.device_id)
        self.device_keys.get(device.user_id, {}).pop(device.device_id, None)
        for kept in (self.one_time_keys, self.fallback_keys, self.inboxes):
            kept.pop(key, None)
        self._changes.append((self._tick(), device.user_id))

    def read(self, device: MemberDevice, room_id: str) -> list[Data | None]:
        """The room's events as that device sees them, oldest first: content, or None for what it cannot read."""
        for _, event in self.inboxes.pop((device.user_id, device.device_id), []):
            device.receive(event)
        return [_seen(device, event) for event in self.homes[room_id].events]

    def write(self, device: MemberDevice, room_id: str, content: Data) -> str:
        """A member writes to the room, encrypted for the bot: over the newest Olm session, else with a key of
        the bot claimed first. Answers the event id."""
        bot = self.device_keys[self.user_id][self.device_id]
        claimed = {} if device.olm else self._claim((self.user_id, self.device_id))
        key = next((key["key"] for key in claimed.values()), "")
        to_device, event = device.write(room_id, content, bot, key)
        self._deliver(device.user_id, (self.user_id, self.device_id), "m.room.encrypted", to_device)
        return self._append(room_id, device.user_id, "m.room.encrypted", event)

    def say(self, user_id: str, room_id: str, body: str, **more: Any) -> str:
        """A member writes without encryption."""
        return self._append(room_id, user_id, "m.room.message", {"msgtype": "m.text", "body": body} | more)

    def forge(self, room_id: str, sender: Any, event_type: Any, content: Any, **more: Any) -> None:
        """An event of any shape, as a homeserver may tell it."""
        event = {"event_id": f"$forged{next(self._numbers)}", "type": event_type, "sender": sender, "content": content}
        self.homes[room_id].events.append(event | more)

    def join(self, user_id: str, room_id: str) -> None:
        super().join(user_id, room_id)
        self._moved(user_id, room_id, "join")

    def leave(self, user_id: str, room_id: str) -> None:
        super().leave(user_id, room_id)
        self._moved(user_id, room_id, "leave")

    # ------------------------------------------------------------------ Keys

    @port
    async def members(self, room_id: str) -> dict[str, str]:
        there = self._inside(room_id).members.items()
        return {user: state for user, state in there if state in ("join", "invite")}

    @port
    async def query_keys(self, users: Sequence[str]) -> Data:
        asked = [user for user in users if not self._is_silent(user)]
        shown: Data = {"device_keys": {user: self.device_keys.get(user, {}) for user in asked}}
        for role in OWN:
            of = {user: self.signing_keys[user][role] for user in asked if role in self.signing_keys.get(user, {})}
            shown[f"{role}_keys"] = of if role != "user_signing" else {u: k for u, k in of.items() if u == self.user_id}
        return copy.deepcopy({**shown, "failures": self._failures(users)})

    @port
    async def claim_keys(self, wanted: Mapping[str, Sequence[str]]) -> Data:
        keys: dict[str, Data] = {}
        for user, devices in wanted.items():
            for device_id in devices if not self._is_silent(user) else ():
                if claimed := self._claim((user, device_id)):
                    keys.setdefault(user, {})[device_id] = claimed
        return {"one_time_keys": keys, "failures": self._failures(wanted)}

    @port
    async def send_to_device(
        self, event_type: str, messages: Mapping[str, Mapping[str, Data]], transaction_id: str
    ) -> None:
        if (self.device_id, transaction_id) in self._sent:
            return
        self._sent.add((self.device_id, transaction_id))
        for user, devices in messages.items():
            for device_id, content in devices.items():
                self._deliver(self.user_id, (user, device_id), event_type, content)

    @port
    async def send_event(self, room_id: str, event_type: str, content: Data, transaction_id: str) -> str:
        self._inside(room_id)
        key = (room_id, self.device_id, transaction_id)
        if key not in self._transactions:
            self._transactions[key] = self._append(room_id, self.user_id, event_type, content)
        return self._transactions[key]

    @port
    async def upload_keys(self, body: Data) -> Data:
        self.publish(self.user_id, self.device_id, body)
        return {"one_time_key_counts": {"signed_curve25519": len(self.one_time_keys[self.user_id, self.device_id])}}

    @port
    async def upload_signing_keys(self, body: Data) -> None:
        known = self.signing_keys.get(self.user_id)
        if known and known != _roles(body) and "auth" not in body:
            raise Refused("the homeserver asks for the bot's password", code="UIA")
        self._take_signing_keys(self.user_id, body)

    @port
    async def upload_signatures(self, body: Data) -> Data:
        failures: Data = {}
        for user, signed in body.items():
            for device_id, keys in signed.items():
                if not self._take_signature(user, device_id, keys):
                    failures.setdefault(user, {})[device_id] = {"errcode": "M_INVALID_SIGNATURE"}
        return failures

    @port
    async def account_data(self, event_type: str) -> Data | None:
        return copy.deepcopy(self.data.get(event_type))

    @port
    async def set_account_data(self, event_type: str, content: Data) -> None:
        self.data[event_type] = copy.deepcopy(content)

    @port
    async def sync(self, since: str | None, timeline: bool, not_rooms: Sequence[str] = ()) -> Data:
        mark, box = self._marks.get(since or "", _Mark()), self.inboxes.setdefault((self.user_id, self.device_id), [])
        box[:] = [(number, event) for number, event in box if number > mark.box]
        told = box[: self.box_limit]
        said: Data = {"next_batch": f"s{self._tick()}", "to_device": {"events": [event for _, event in told]}}
        said["device_lists"] = {"changed": self._changed(mark.at) if since else [], "left": []}
        rooms = {room.room_id: (len(room.events), len(self._moves.get(room.room_id, []))) for room in self._mine()}
        self._marks[said["next_batch"]] = _Mark(told[-1][0] if told else mark.box, self._clock, rooms)
        if timeline:
            said["rooms"] = {"join": self._timelines(mark.rooms, not_rooms)}
        return dict(json.loads(json.dumps(said)))

    @port
    async def page_back(self, room_id: str, start: str, stop: str) -> Data:
        self._inside(room_id)
        rest = self._left_out[start]
        page: Data = {"start": start, "chunk": rest[-self.page_size :][::-1]}
        if len(rest) > self.page_size:
            page["end"] = self._kept_for_later(rest[: -self.page_size])
        return dict(json.loads(json.dumps(page)))

    # ------------------------------------------------------------------ parts of it

    def _tick(self) -> int:
        self._clock += 1
        return self._clock

    def _is_silent(self, user: str) -> bool:
        return user.partition(":")[2] in self.silent

    def _failures(self, users: Any) -> Data:
        return {user.partition(":")[2]: {} for user in users if self._is_silent(user)}

    def _claim(self, key: Key) -> Data:
        """Each one-time key once, then the fallback key for ever."""
        once = self.one_time_keys.get(key, {})
        if once:
            name = next(iter(once))
            return {name: once.pop(name)}
        return copy.deepcopy(self.fallback_keys.get(key, {}))

    def _deliver(self, sender: str, to: Key, event_type: str, content: Data) -> None:
        if to[1] in self.device_keys.get(to[0], {}):
            event = {"type": event_type, "sender": sender, "content": json.loads(json.dumps(content))}
            self.inboxes.setdefault(to, []).append((self._tick(), event))

    def _append(self, room_id: str, sender: str, event_type: str, content: Data) -> str:
        event_id = f"$event{next(self._numbers)}"
        shown = json.loads(json.dumps(content))
        self.homes[room_id].events.append(
            {
                "event_id": event_id,
                "type": event_type,
                "sender": sender,
                "content": shown,
                "origin_server_ts": self._ts(),
            }
        )
        return event_id

    def _ts(self) -> int:
        return int(self.clock() * 1000)

    def _changed(self, position: int) -> list[str]:
        near = {user for room in self._mine() for user in room.joined()}
        return sorted({user for number, user in self._changes if number > position and user in near})

    def _timelines(self, positions: dict[str, tuple[int, int]], not_rooms: Sequence[str]) -> Data:
        joined: Data = {}
        for room in self._mine():
            said, moved = positions.get(room.room_id, (0, 0))
            new = [*self._moves.get(room.room_id, [])[moved:], *room.events[said:]]
            events = [event for event in new if event.get("type") in SAID and event["sender"] != self.user_id]
            if events and room.room_id not in not_rooms:
                joined[room.room_id] = {"timeline": self._timeline(events)}
        return joined

    def _timeline(self, events: list[Data]) -> Data:
        """A room that is new is always `limited` on the homeserver; here only one of which not all was told."""
        told, rest = events[-self.timeline_limit :], events[: -self.timeline_limit]
        return {"events": told, "limited": bool(rest), "prev_batch": self._kept_for_later(rest)}

    def _kept_for_later(self, events: list[Data]) -> str:
        token = f"t{self._tick()}"
        self._left_out[token] = events
        return token

    def _moved(self, user_id: str, room_id: str, membership: str) -> None:
        event = {
            "type": "m.room.member",
            "sender": user_id,
            "state_key": user_id,
            "content": {"membership": membership},
        }
        self._moves.setdefault(room_id, []).append(event | {"event_id": f"$event{next(self._numbers)}"})

    def _take_signing_keys(self, user: str, body: Data) -> None:
        self.signing_keys[user] = _roles(body)

    def _take_signature(self, user: str, device_id: str, keys: Data) -> bool:
        known = self.device_keys.get(user, {}).get(device_id)
        signer = next(iter(mapping(self.signing_keys.get(user, {}).get("self_signing")).get("keys", {}).values()), "")
        if known is None or not verify_signature(keys, user, f"ed25519:{signer}", signer):
            return False
        known["signatures"].setdefault(user, {}).update(keys["signatures"][user])
        return True


def _roles(body: Data) -> dict[str, Data]:
    return {role: copy.deepcopy(body[f"{role}_key"]) for role in OWN if f"{role}_key" in body}


def _seen(device: MemberDevice, event: Data) -> Data | None:
    if event.get("type") != "m.room.encrypted":
        return dict(event["content"])
    try:
        return dict(device.read(event["content"])["content"])
    except Unreadable:
        return None
