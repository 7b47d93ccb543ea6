"""Reading the table of use cases from its file."""

from typing import Literal

from smki.entity import DeviceType, RemotePartyRole
from smki.gbcs.header import Cra, MessageCode
from smki.gbcs.message import Protection
from smki.gbcs.use_case import UseCase, UseCases
from smki.settings import Sourced, Table, read_toml

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
    category: _Category
    critical: bool
    devices: list[str]
    name: str = ""
    command: list[_Form] = []
    response: list[_Form] = []
    alert: list[_Form] = []
    dated: bool = False
    senders: list[str] = []
    devices_send: list[str] = []
    services: list[str] = []
    users: list[str] = []


class UseCaseFile(Table, frozen=True):
    """The file as written."""

    use_cases: dict[str, _Row]


def use_cases(file: UseCaseFile) -> UseCases:
    """The table that a file describes."""
    rows = {}
    for text, row in file.use_cases.items():
        code = MessageCode.parse(text)
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
            senders=tuple(RemotePartyRole.parse(word) for word in row.senders),
            sending_devices=tuple(DeviceType.parse(word) for word in row.devices_send),
            devices=tuple(DeviceType.parse(word) for word in row.devices),
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
