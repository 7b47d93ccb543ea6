"""What the authority promises, read once from the workspace's `policies/` folder into frozen values.

Policy is data inside limits that are code: a file may ask for more than the floor here, never for less.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from cryptography import x509

from smki.authority.issuance.policy import IssuanceFile, IssuancePolicy, read_issuance
from smki.authority.signing import SigningFile, SigningPolicy
from smki.errors import InvalidInput, Refused
from smki.pki.oid import parse_oid
from smki.pki.profile import Profile, read_profile
from smki.settings import Sourced, Table, octets_of, read_toml

if TYPE_CHECKING:
    from smki.authority.anomaly import Detectors
    from smki.authority.broker import BrokerPolicy
    from smki.authority.cos import CosPolicy
    from smki.authority.credentials import CredentialsPolicy
    from smki.authority.estate.policy import InventoryPolicy, RegistrationPolicy
    from smki.authority.joins import JoinsPolicy
    from smki.authority.ocsp.policy import OcspPolicy
    from smki.authority.publication.policy import PublicationPolicy
    from smki.authority.recovery import RecoveryPolicy
    from smki.authority.revocation.policy import RevocationPolicy
    from smki.device.cells import CellName
    from smki.entity import DeviceType
    from smki.gbcs.payload.names import Names  # half the reading of a command that shows messages, and none of others
    from smki.gbcs.use_case import UseCases

_USE_CASES, _DEVICES, _CREDENTIALS = "use-cases.toml", "devices.toml", "credentials.toml"
_REGISTRATION, _INVENTORY, _RECOVERY = "registration.toml", "inventory.toml", "recovery.toml"
_ANOMALY = "anomaly.toml"
_COS, _JOINS, _REVOCATION = "cos.toml", "joins.toml", "revocation.toml"
_OCSP, _PUBLICATION = "ocsp.toml", "publication.toml"
_BROKER = "broker.toml"
_NAMES = ("names-cosem.toml", "names-zigbee.toml")
_TABLES = (
    _USE_CASES, _DEVICES, _CREDENTIALS, _REGISTRATION, _INVENTORY, _RECOVERY, _COS, _JOINS, _REVOCATION, _ANOMALY,
)  # fmt: skip
MIN_APPROVALS = 2  # no single person makes a key (tScheme key management; RFC 3647 5.2.2)
MOST_OFFICERS = 100  # on a roll (ceremony files)

Contingency = Literal["required", "forbidden"]
Tier = Literal["root", "issuing"]
T = TypeVar("T")


class _HierarchyTable(Table, frozen=True):
    title: str
    """What it is for, for people."""
    root_profile: str
    """The profile of its root: a file in `profiles/`."""
    issuing_profile: str
    """The profile of the authorities that issue."""
    link_profile: str
    """The profile of the certificates that link a root to its successor."""
    contingency: Contingency
    """Whether its root carries the key that can replace it after a compromise (RFC 5934 4.4)."""
    policy_oids: dict[str, list[str]]
    """For each environment the certificate policies that every certificate asserts, critical: one at least (GBCS
    12)."""


class _HierarchyFile(Table, frozen=True):
    """Which hierarchies this authority runs, which profile each tier uses, which certificate policies it
    asserts."""

    environment: str
    """Which list of `policy_oids` counts: `test`, `live`, or what you call yours."""
    hierarchies: dict[str, _HierarchyTable]
    """Each tree of authorities, by its name."""


class _QuorumFile(Table, frozen=True):
    """How many officers there are, and how many of them a ceremony needs."""

    officers: int
    """The size of the roll of officers."""
    approvals: int
    """By how many different officers a ceremony is approved: {MIN_APPROVALS} at least, and no more than there
    are."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One tree of authorities: its profiles by tier and the certificate policies all its members assert."""

    name: str
    title: str
    root: Profile
    issuing: Profile
    link: Profile
    contingency: Contingency
    policy_oids: tuple[x509.ObjectIdentifier, ...]

    def profile(self, tier: Tier) -> Profile:
        return self.root if tier == "root" else self.issuing


@dataclass(frozen=True, slots=True)
class Quorum:
    """The size of the roll of officers and the approvals a ceremony needs."""

    officers: int
    approvals: int


@dataclass(frozen=True)
class Policies:
    """Every policy file of a workspace, checked against each other. The long tables are read when first asked for."""

    environment: str
    hierarchies: dict[str, Hierarchy]
    profiles: dict[str, Profile]
    quorum: Quorum
    issuance: IssuancePolicy
    signing: SigningPolicy
    digests: dict[str, str]
    tables: Mapping[str, bytes]
    """The octets of the long tables, by name."""

    @cached_property
    def use_cases(self) -> "UseCases":
        from smki.gbcs.use_case_file import read_use_cases

        found = read_use_cases(self.tables[_USE_CASES], _USE_CASES).value
        self.signing.check_names(frozenset(text for row in found.all for text in (str(row.code), row.name)))
        return found

    @cached_property
    def names(self) -> "Names":
        from smki.gbcs.payload.names import read_names

        cosem, zigbee = (read_names(self.tables[name], name).value for name in _NAMES)
        return cosem.merged(zigbee)

    @cached_property
    def devices(self) -> "Mapping[DeviceType, tuple[CellName, ...]]":
        """The trust anchor cells of each kind of device."""
        from smki.authority.devices import DevicesFile

        return read_toml(self.tables[_DEVICES], _DEVICES, DevicesFile).value.checked()

    @cached_property
    def credentials(self) -> "CredentialsPolicy":
        """Which replacements of credentials are made."""
        from smki.authority.credentials import CredentialsFile

        found = read_toml(self.tables[_CREDENTIALS], _CREDENTIALS, CredentialsFile).value.checked()
        found.check_use_cases(self.use_cases)
        return found

    @cached_property
    def registration(self) -> "RegistrationPolicy":
        """What is taken as registration data."""
        from smki.authority.estate.policy import RegistrationFile

        return read_toml(self.tables[_REGISTRATION], _REGISTRATION, RegistrationFile).value.checked()

    @cached_property
    def inventory(self) -> "InventoryPolicy":
        """What may become of a device."""
        from smki.authority.estate.policy import InventoryFile

        return read_toml(self.tables[_INVENTORY], _INVENTORY, InventoryFile).value.checked()

    @cached_property
    def recovery(self) -> "RecoveryPolicy":
        """Who may have the recovery key and the contingency key used."""
        from smki.authority.recovery import RecoveryFile

        return read_toml(self.tables[_RECOVERY], _RECOVERY, RecoveryFile).value.checked()

    @cached_property
    def cos(self) -> "CosPolicy":
        """What the change-of-supplier party takes."""
        from smki.authority.cos import CosFile

        return read_toml(self.tables[_COS], _COS, CosFile).value.checked()

    @cached_property
    def anomaly(self) -> "Detectors":
        """What the access control broker holds because it is too much, too quick or makes no sense."""
        from smki.authority.anomaly_file import AnomalyFile

        return read_toml(self.tables[_ANOMALY], _ANOMALY, AnomalyFile).value.checked(self.use_cases)

    @cached_property
    def joins(self) -> "JoinsPolicy":
        """Which devices of a home may be joined."""
        from smki.authority.joins import JoinsFile

        return read_toml(self.tables[_JOINS], _JOINS, JoinsFile).value.checked()

    @cached_property
    def revocation(self) -> "RevocationPolicy":
        """Who may have which certificates revoked."""
        from smki.authority.revocation.policy import RevocationFile

        return read_toml(self.tables[_REVOCATION], _REVOCATION, RevocationFile).value.checked()

    @cached_property
    def ocsp(self) -> "OcspPolicy":
        """Whose certificates are answered for, and how."""
        from smki.authority.ocsp.policy import OcspFile

        return read_toml(self.tables[_OCSP], _OCSP, OcspFile).value.checked(self.profiles, self.hierarchies)

    @cached_property
    def publication(self) -> "PublicationPolicy":
        """How often revocation lists are made, and how long they are good."""
        from smki.authority.publication.policy import PublicationFile, checked

        return checked(read_toml(self.tables[_PUBLICATION], _PUBLICATION, PublicationFile).value, self.hierarchies)

    @cached_property
    def broker(self) -> "BrokerPolicy":
        """What the access control broker admits."""
        from smki.authority.broker import BrokerFile

        found = read_toml(self.tables[_BROKER], _BROKER, BrokerFile).value.checked()
        found.check_use_cases(self.use_cases)
        return found

    def read_all(self) -> None:
        """Read what was not read yet: policies are adopted whole or not at all."""
        _ = self.ocsp, self.publication
        _ = self.use_cases, self.names, self.devices, self.credentials, self.registration, self.inventory
        _ = self.recovery, self.cos, self.joins, self.revocation, self.broker, self.anomaly

    @property
    def digest(self) -> str:
        """One SHA-256 over the names and digests of all files: what an audit entry says was in force."""
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(self.digests.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def hierarchy(self, name: str) -> Hierarchy:
        try:
            return self.hierarchies[name]
        except KeyError:
            raise InvalidInput(
                "policy.no-hierarchy",
                f"no hierarchy is called {name[:40]!r}",
                f"choose one of: {', '.join(sorted(self.hierarchies))}",
            ) from None


def load_policies(folder: Path) -> Policies:
    """Read every policy file below `folder`, or say which file and key is wrong."""
    digests: dict[str, str] = {}

    def keep(sourced: Sourced[T]) -> T:
        digests[sourced.source] = sourced.sha256.hex()
        return sourced.value

    profiles: dict[str, Profile] = {}
    for path in sorted((folder / "profiles").glob("*.toml")):
        profiles[path.stem] = keep(read_profile(_octets(path), f"profiles/{path.name}"))
    hierarchy_file = keep(_read(folder, "hierarchy.toml", _HierarchyFile))
    quorum_file = keep(_read(folder, "quorum.toml", _QuorumFile))
    hierarchies = {
        name: _hierarchy(name, table, hierarchy_file.environment, profiles)
        for name, table in hierarchy_file.hierarchies.items()
    }
    issuance = read_issuance(keep(_read(folder, "issuance.toml", IssuanceFile)), profiles, hierarchies)
    signing = keep(_read(folder, "signing.toml", SigningFile)).checked()
    tables = {name: _octets(folder / name) for name in (*_TABLES, _BROKER, _OCSP, _PUBLICATION, *_NAMES)}
    digests |= {name: hashlib.sha256(data).hexdigest() for name, data in tables.items()}
    return Policies(
        environment=hierarchy_file.environment,
        hierarchies=hierarchies,
        profiles=profiles,
        quorum=_quorum(quorum_file),
        issuance=issuance,
        signing=signing,
        digests=digests,
        tables=tables,
    )


def _octets(path: Path) -> bytes:
    try:
        return octets_of(path)
    except OSError as error:
        raise InvalidInput(
            "policy.unreadable",
            f"policy file {path.name}: {error.strerror}",
            "restore it: `smki init` in a new folder writes every shipped policy file",
        ) from None


def _read(folder: Path, name: str, kind: type[T]) -> Sourced[T]:
    return read_toml(_octets(folder / name), name, kind)


def _quorum(file: _QuorumFile) -> Quorum:
    if not MIN_APPROVALS <= file.approvals <= file.officers <= MOST_OFFICERS:
        raise Refused(
            "policy.quorum",
            f"quorum.toml: approvals = {file.approvals} of officers = {file.officers}",
            f"ask for at least {MIN_APPROVALS} approvals, of {MOST_OFFICERS} officers at most",
        )
    return Quorum(file.officers, file.approvals)


def _hierarchy(name: str, table: _HierarchyTable, environment: str, profiles: dict[str, Profile]) -> Hierarchy:
    def profile(role: str, wanted: str) -> Profile:
        if wanted not in profiles:
            raise InvalidInput(
                "policy.no-profile",
                f"hierarchy.toml: key `hierarchies.{name}.{role}`: there is no profile {wanted[:40]!r}",
                f"name one of: {', '.join(sorted(profiles))}",
            )
        return profiles[wanted]

    if environment not in table.policy_oids:
        raise InvalidInput(
            "policy.no-environment",
            f"hierarchy.toml: hierarchy {name} has no policy_oids for environment {environment[:40]!r}",
            f'add `{environment[:40]} = ["..."]` under [hierarchies.{name}.policy_oids], from your Policy',
        )
    where = f"hierarchy.toml: key `hierarchies.{name}.policy_oids.{environment}`"
    oids = tuple(parse_oid(text, where) for text in table.policy_oids[environment])
    if not oids:
        raise InvalidInput(
            "policy.no-oid", f"{where}: no OID", "every certificate asserts at least one policy (GBCS 12)"
        )
    return Hierarchy(
        name=name,
        title=table.title,
        root=profile("root_profile", table.root_profile),
        issuing=profile("issuing_profile", table.issuing_profile),
        link=profile("link_profile", table.link_profile),
        contingency=table.contingency,
        policy_oids=oids,
    )
