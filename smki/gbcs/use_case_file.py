"""Reading the table of use cases from its file."""

from typing import Literal

from smki.entity import DeviceType, RemotePartyRole
from smki.gbcs.header import Cra, MessageCode
from smki.gbcs.message import Protection
from smki.gbcs.use_case import UseCase, UseCases
from smki.settings import Sourced, Table, at, parsed, read_toml

_FILE = "use-cases.toml"
_Form = Literal["signature", "mac", "signature+mac"]
_Category = Literal[
    "SME.C.C",
    "SME.C.NC",
    "SME.C.NC+UTRN",
    "SME.A.C",
    "SME.A.NC",
    "SME.C.PPMID-GSME",
    "ZSE",
    "variant",
    "unknown",
]


class _Row(Table, frozen=True):
    title: str
    """What it does."""
    category: _Category
    """As the specification's mapping table has it."""
    critical: bool
    """Whether it can change supply, security or money; what the code holds critical cannot be made less."""
    devices: list[str]
    """The devices that know it: ESME, GSME, CHF, GPF, PPMID, HCALCS, SAPC."""
    name: str = ""
    """`ECS43`, and so on."""
    command: list[_Form] = []
    """What protects its command: several where it varies; without it there is none."""
    response: list[_Form] = []
    """What protects its response."""
    alert: list[_Form] = []
    """What protects its alert."""
    dated: bool = False
    """Whether its response carries the time it was made."""
    senders: list[str] = []
    """The roles that may send it."""
    devices_send: list[str] = []
    """The kinds of device that send it to each other."""
    services: list[str] = []
    """Service references of the DCC user interface."""
    users: list[str] = []
    """User roles of the DCC user interface that may ask for it; `broker.toml` says who has them."""


class UseCaseFile(Table, frozen=True):
    """Every use case of GBCS. A critical command is always signed; only credentials read by a signer, recovery
    and contingency go without a MAC."""

    use_cases: dict[str, _Row]
    """Each use case, by its message code such as `"0x0050"`."""


def use_cases(file: UseCaseFile) -> UseCases:
    """The table that a file describes."""
    rows = {}
    for text, row in file.use_cases.items():
        code = parsed(MessageCode.parse, text, at(_FILE, "use_cases"))
        rows[code] = UseCase(
            code=code,
            name=row.name,
            title=row.title,
            category=row.category,
            critical=row.critical,
            protections={
                cra: tuple(Protection(form) for form in forms)
                for cra, forms in ((Cra.COMMAND, row.command), (Cra.RESPONSE, row.response), (Cra.ALERT, row.alert))
                if forms
            },
            dated=row.dated,
            senders=tuple(parsed(RemotePartyRole.parse, word, at(_FILE, f"{text}.senders")) for word in row.senders),
            sending_devices=tuple(
                parsed(DeviceType.parse, word, at(_FILE, f"{text}.devices_send")) for word in row.devices_send
            ),
            devices=tuple(parsed(DeviceType.parse, word, at(_FILE, f"{text}.devices")) for word in row.devices),
            services=tuple(row.services),
            users=tuple(row.users),
        )
    table = UseCases(rows)
    table.check_whole()
    return table


def read_use_cases(data: bytes, source: str) -> Sourced[UseCases]:
    """The table from the octets of its file."""
    read = read_toml(data, source, UseCaseFile)
    return Sourced(use_cases(read.value), read.source, read.sha256)
