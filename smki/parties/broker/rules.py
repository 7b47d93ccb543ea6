"""May this command go to this device? Each rule with its code; all that are broken are told; what is unknown is a no.

Values in, faults out: the message as it came, what the inventory and the registration data say, the policy, the time.
Whether it is too much of a kind is not asked here (`smki.parties.anomaly`), nor whether it came before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from smki.authority.broker import BrokerPolicy, UserRole
from smki.entity import EntityId, RemotePartyRole
from smki.gbcs.header import Cra
from smki.gbcs.message import Message, Protection
from smki.gbcs.use_case import HOME_CODES, UseCase
from smki.meter_point import Fuel
from smki.parties.signing_rules import MAX_SIGNED_COUNTER
from smki.pki.verdict import Fault
from smki.store.admission_records import ConsentRecord
from smki.store.estate_records import Place

# Parties that are there for every home. What may be sent in their name is what the table gives to their role.
ENTITLED = frozenset(
    {
        RemotePartyRole.ACCESS_CONTROL_BROKER,
        RemotePartyRole.TRANSITIONAL_COS,
        RemotePartyRole.WAN_PROVIDER,
        RemotePartyRole.RECOVERY,
    }
)
_REGISTERED = frozenset({RemotePartyRole.SUPPLIER, RemotePartyRole.NETWORK_OPERATOR})
# Joins of devices that know no supplier, for a user whom the broker names beside itself (CS03A2, CS03C, CS04AC).
_FOR_A_USER = frozenset({0x00AB, 0x00AF, 0x000F})
HANDOVER = {0x0102: RemotePartyRole.SUPPLIER, 0x0103: RemotePartyRole.NETWORK_OPERATOR}
"""Handing over a device whose cells of that role are still the broker's."""
History = Sequence[tuple[int, bytes | None, bytes | None]]


class Speaker(msgspec.Struct, frozen=True, gc=False):
    """For whom a command speaks: its originator, or the user whom the broker names beside itself."""

    entity: EntityId
    role: RemotePartyRole


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the device a command is for."""

    now: datetime
    place: Place | None
    history: History = ()
    """Of its meter point: since which second who is registered."""
    consents: Sequence[ConsentRecord] = ()
    holders: Mapping[RemotePartyRole, EntityId | None] = field(default_factory=dict)
    """Who is believed in its signature cells, by role; asked for where the broker itself signs."""

    def registered(self, moment: datetime) -> tuple[bytes | None, bytes | None]:
        """Supplier and network operator at a moment."""
        found: tuple[bytes | None, bytes | None] = (None, None)
        second = moment.timestamp()
        for since, supplier, operator in self.history:
            if since > second:
                break
            found = supplier, operator
        return found


def of_kind(message: Message, row: UseCase | None, *, asked: bool) -> Iterator[Fault]:
    """The right kind of message, protected as it is on its way to the broker; `asked`: by a signed request."""
    header = message.header
    if header.cra is not Cra.COMMAND or message.mac is not None:
        what = header.cra.name.lower() if header.cra is not Cra.COMMAND else "command with a MAC"
        yield Fault("broker.kind", f"it is a {what}", "the broker takes commands without their MAC")
        return
    if row is None:
        yield Fault("broker.use-case", f"no use case has code {header.code}", "see `smki usecase list`")
        return
    forms = row.protections.get(Cra.COMMAND, ())
    signed = Protection.BOTH in forms or Protection.SIGNATURE in forms
    if header.code in HOME_CODES or not forms:
        yield Fault("broker.protection", f"{row.label} is no command of a remote party", "send it nowhere")
    elif message.signature and not signed:
        yield Fault("broker.protection", f"no command of {row.label} is signed", "ask for it: `--requests`")
    elif not message.signature and asked and Protection.MAC not in forms:
        yield Fault("broker.protection", f"{row.label} is critical", "have its pre-command made, and sign it")
    elif not message.signature and not asked:
        how = "sign it" if Protection.MAC not in forms else "ask for it in a signed request: `--requests`"
        yield Fault("broker.unsigned", "nobody has signed it", how)


def of_header(message: Message, row: UseCase) -> Iterator[Fault]:
    header = message.header
    if header.counter > MAX_SIGNED_COUNTER:
        yield Fault("broker.counter-range", f"counter {header.counter} uses up all there are", "number it anew")
    if header.target.is_reserved or header.target == header.originator:
        yield Fault("broker.target", f"{header.target} is no device", "ask for the command again, for a device")
    if header.supplementary is not None and RemotePartyRole.ACCESS_CONTROL_BROKER not in row.senders:
        yield Fault("broker.supplementary", f"{row.label} speaks for nobody else", "leave the other party out")


def of_sender(speaker: Speaker, row: UseCase, *, through_broker: bool) -> Iterator[Fault]:
    """The role of a certificate, against the table of use cases."""
    role = RemotePartyRole.ACCESS_CONTROL_BROKER if through_broker else speaker.role
    if role not in row.senders:
        allowed = ", ".join(one.word for one in row.senders) or "nobody"
        yield Fault(
            "broker.role",
            f"{row.label} is sent by {allowed}, and the key is of {role.word}",
            "send what your role may",
        )
    elif through_broker and not row.users:
        # The broker's own credentials (CS02b, 0x0104) change by its MAC alone: no consent lets a user ask for that.
        yield Fault("broker.role", f"{row.label} is asked by no user", "have the broker send it, if it is meant")


def of_own(
    message: Message, row: UseCase, broker: EntityId, facts: Facts, *, by_broker: bool = False
) -> Iterator[Fault]:
    """The broker signs what changes supply or credentials only where a device knows nobody else (GBCS 13.3, 13.7).

    `by_broker`: with a key in the broker's role, which reaches every home; so this broker's alone is good for it.
    """
    header = message.header
    if header.originator != broker:
        if header.supplementary is not None:
            yield Fault("broker.supplementary", "only the broker speaks for others", "leave the other party out")
        if by_broker:
            yield Fault("broker.own", f"{header.originator} is not the broker here", "have it sent by this broker")
        return
    if not row.critical:
        return
    role = HANDOVER.get(int(header.code))
    if role is not None and facts.holders.get(role) == broker:
        return
    nobody = RemotePartyRole.SUPPLIER not in facts.holders
    if int(header.code) in _FOR_A_USER and header.supplementary is not None and facts.place is not None and nobody:
        return
    yield Fault(
        "broker.own",
        f"the broker's key signs no {row.label} for {header.target}",
        "have it signed by whom the device knows",
    )


def of_target(row: UseCase, facts: Facts, target: EntityId, policy: BrokerPolicy) -> Iterator[Fault]:
    place = facts.place
    if place is None:
        yield Fault("broker.target", f"{target} is not in the inventory", "`smki inventory add` it first")
        return
    if place.kind not in row.devices:
        yield Fault(
            "broker.target-kind", f"{target} is a {place.kind.value}, which has no {row.label}", "name another device"
        )
    if place.status.has_ended or not policy.allows(place.status, row):
        yield Fault(
            "broker.device-state",
            f"{target} is {place.status.value}: it gets no {row.label}",
            "see `smki inventory show`, and broker.toml",
        )


def of_moments(moments: Sequence[datetime], facts: Facts, policy: BrokerPolicy) -> Iterator[Fault]:
    furthest = facts.now + policy.furthest
    for moment in moments:
        if moment > furthest:
            yield Fault(
                "broker.execution-date",
                f"it takes effect at {moment:%Y-%m-%dT%H:%M:%SZ}, more than {policy.furthest.days} days ahead",
                "send it nearer to that day",
            )


def of_right(
    speaker: Speaker, row: UseCase, facts: Facts, target: EntityId, moments: Sequence[datetime], policy: BrokerPolicy
) -> Iterator[Fault]:
    """A user has the user role, and the right to this device when the command takes effect (technical arch. 5.2)."""
    place = facts.place
    if speaker.role in ENTITLED or place is None:
        return
    fuel = None if place.meter_point is None else place.meter_point.fuel
    if row.users:
        roles = [one for one in policy.user_roles if one.name in row.users and _fits(one, speaker, fuel)]
        if not roles:
            wanted = ", ".join(row.users)
            yield Fault(
                "broker.role",
                f"{row.label} is for the user roles {wanted}, and {speaker.entity} has none of them here",
                "ask as a user who may; see broker.toml",
            )
            return
        registered = any(one.by == "registration" for one in roles)
        consent = any(one.by == "consent" for one in roles)
    else:
        registered, consent = speaker.role in _REGISTERED, speaker.role not in _REGISTERED
    if row.critical and speaker.role in _REGISTERED:
        registered, consent = True, False  # whatever a file says: what costs or darkens a home is nobody else's
    for moment in sorted({max(moment, facts.now) for moment in moments} or {facts.now}):
        if registered and is_registered(speaker, facts, moment):
            continue
        if consent and any(one.party == speaker.entity and one.holds_at(moment) for one in facts.consents):
            continue
        yield _no_right(speaker, target, place, moment, registered=registered)
        return


def _fits(one: UserRole, speaker: Speaker, fuel: Fuel | None) -> bool:
    """Without a meter point nobody knows which fuel a device is for: then the right decides, and there is none."""
    return one.fits(speaker.entity, speaker.role, one.fuel if fuel is None else fuel)


def is_registered(speaker: Speaker, facts: Facts, moment: datetime | None = None) -> bool:
    """Whether whoever speaks supplies or serves a device, now or at a moment."""
    return is_one_of(speaker, facts.registered(moment or facts.now))


def is_one_of(speaker: Speaker, registered: tuple[bytes | None, bytes | None]) -> bool:
    """Whether whoever speaks is the supplier or the network operator that is registered."""
    return speaker.entity.octets == registered[speaker.role is not RemotePartyRole.SUPPLIER]


def _no_right(speaker: Speaker, target: EntityId, place: Place, moment: datetime, *, registered: bool) -> Fault:
    where = "no meter point" if place.meter_point is None else f"meter point {place.meter_point}"
    at = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    if registered:
        return Fault(
            "broker.responsible",
            f"{speaker.entity} is not the {speaker.role.word} of {target} ({where}) at {at}",
            "see `smki registration show` and `smki inventory show`",
        )
    return Fault(
        "broker.consent",
        f"no consent to {speaker.entity} about {target} ({where}) is on record for {at}",
        "`smki broker consent add`, once it was given",
    )
