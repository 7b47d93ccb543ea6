"""Who may replace whose credentials, by which command: the modes of CS02b and CS02g (GBCS 13.3, 13.9).

This table is the limit: it is what a device knows, and what no policy file widens.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat import asn1

from smki.device.cells import CellName, CellUse
from smki.entity import RemotePartyRole
from smki.gbcs.header import MessageCode
from smki.gbcs.payload.credentials import CellIdentifier, CellUsage, Mode
from smki.gbcs.payload.declared import DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_CERT_SIGN

ROOT_CELL = CellName(RemotePartyRole.ROOT, CellUse.KEY_CERT_SIGN)
BROKER_CELL = CellName(RemotePartyRole.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT)
"""Whose MAC lets commands pass."""
SUPPLIER_CELLS = tuple(
    CellName(RemotePartyRole.SUPPLIER, use)
    for use in (CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT, CellUse.TOP_UP)
)
"""Replaced together, and never of two organisations: nobody shares the control of a home."""
CONTINGENCY_ROLE = RemotePartyRole.ROOT
"""The contingency key speaks for the root: its counter is the root's."""
_EVERYONE = frozenset(RemotePartyRole)


@dataclass(frozen=True, slots=True)
class ModeRule:
    """One mode: its message code, the cell its authority comes from, and whose cells it may fill."""

    mode: Mode
    code: MessageCode
    authorising: CellName | None
    """None: the contingency key, which is in no cell."""
    targets: frozenset[RemotePartyRole]
    may_be_unnamed: bool = False
    """Whether the authorising cell may be left out: the broker's own, spoken for by its MAC."""
    puts_broker: bool = False
    """Whether the broker's certificates may go into the cells of others, until they are handed over (GBCS 13.3)."""

    @property
    def word(self) -> str:
        """As the standard writes it: `supplierByTransCoS`."""
        return _WORDS[self.mode]

    @property
    def alert_code(self) -> MessageCode:
        """Under which code a device tells what became of a command that was put off."""
        return _LOAD_ALERT if self.mode in _LOAD_MODES else _ALERT

    def may_fill(self, name: CellName) -> bool:
        return name.role in self.targets


_ALERT, _LOAD_ALERT = MessageCode(0x00CB), MessageCode(0x0124)
_LOAD_MODES = {Mode.LOAD_CONTROLLER_BY_LOAD_CONTROLLER, Mode.LOAD_CONTROLLER_BY_SUPPLIER}
_WORDS = {
    Mode.ROOT_BY_SUPPLIER: "rootBySupplier",
    Mode.ROOT_BY_WAN_PROVIDER: "rootByWanProvider",
    Mode.SUPPLIER_BY_SUPPLIER: "supplierBySupplier",
    Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR: "networkOperatorByNetworkOperator",
    Mode.ACCESS_CONTROL_BROKER_BY_ACB: "accessControlBrokerByACB",
    Mode.WAN_PROVIDER_BY_WAN_PROVIDER: "wanProviderByWanProvider",
    Mode.TRANS_COS_BY_TRANS_COS: "transCoSByTransCoS",
    Mode.SUPPLIER_BY_TRANS_COS: "supplierByTransCoS",
    Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY: "anyExceptAbnormalRootByRecovery",
    Mode.ANY_BY_CONTINGENCY: "anyByContingency",
    Mode.LOAD_CONTROLLER_BY_LOAD_CONTROLLER: "loadControllerByLoadController",
    Mode.LOAD_CONTROLLER_BY_SUPPLIER: "loadControllerBySupplier",
}


def _signed(mode: Mode, code: int, by: RemotePartyRole, target: RemotePartyRole) -> ModeRule:
    return ModeRule(mode, MessageCode(code), CellName(by, CellUse.DIGITAL_SIGNATURE), frozenset({target}))


_ROLE = RemotePartyRole
_RULES = (
    _signed(Mode.ROOT_BY_SUPPLIER, 0x0100, _ROLE.SUPPLIER, _ROLE.ROOT),
    _signed(Mode.ROOT_BY_WAN_PROVIDER, 0x0101, _ROLE.WAN_PROVIDER, _ROLE.ROOT),
    _signed(Mode.SUPPLIER_BY_SUPPLIER, 0x0102, _ROLE.SUPPLIER, _ROLE.SUPPLIER),
    _signed(Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR, 0x0103, _ROLE.NETWORK_OPERATOR, _ROLE.NETWORK_OPERATOR),
    ModeRule(
        Mode.ACCESS_CONTROL_BROKER_BY_ACB,
        MessageCode(0x0104),
        CellName(_ROLE.ACCESS_CONTROL_BROKER, CellUse.DIGITAL_SIGNATURE),
        frozenset({_ROLE.ACCESS_CONTROL_BROKER}),
        may_be_unnamed=True,
    ),
    _signed(Mode.WAN_PROVIDER_BY_WAN_PROVIDER, 0x0105, _ROLE.WAN_PROVIDER, _ROLE.WAN_PROVIDER),
    _signed(Mode.TRANS_COS_BY_TRANS_COS, 0x0106, _ROLE.TRANSITIONAL_COS, _ROLE.TRANSITIONAL_COS),
    _signed(Mode.SUPPLIER_BY_TRANS_COS, 0x0107, _ROLE.TRANSITIONAL_COS, _ROLE.SUPPLIER),
    ModeRule(
        Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY,
        MessageCode(0x0108),
        CellName(_ROLE.RECOVERY, CellUse.DIGITAL_SIGNATURE),
        _EVERYONE,
        puts_broker=True,
    ),
    ModeRule(Mode.ANY_BY_CONTINGENCY, MessageCode(0x0109), None, _EVERYONE, puts_broker=True),
    _signed(Mode.LOAD_CONTROLLER_BY_LOAD_CONTROLLER, 0x0125, _ROLE.LOAD_CONTROLLER, _ROLE.LOAD_CONTROLLER),
    _signed(Mode.LOAD_CONTROLLER_BY_SUPPLIER, 0x0126, _ROLE.SUPPLIER, _ROLE.LOAD_CONTROLLER),
)
RULES: Mapping[Mode, ModeRule] = {rule.mode: rule for rule in _RULES}
RULES_BY_CODE: Mapping[MessageCode, ModeRule] = {rule.code: rule for rule in _RULES}
MODES_BY_WORD: Mapping[str, Mode] = {word: mode for mode, word in _WORDS.items()}

# Cells, as commands name them

_BITS = {
    CellUse.KEY_CERT_SIGN: KEY_CERT_SIGN,
    CellUse.DIGITAL_SIGNATURE: DIGITAL_SIGNATURE,
    CellUse.KEY_AGREEMENT: KEY_AGREEMENT,
    CellUse.TOP_UP: KEY_AGREEMENT,
}


def key_usage_bits(use: CellUse) -> asn1.BitString:
    return _BITS[use]


def cell_usage(use: CellUse) -> CellUsage:
    return CellUsage.PREPAYMENT_TOP_UP if use is CellUse.TOP_UP else CellUsage.MANAGEMENT


def identifier(name: CellName) -> CellIdentifier:
    """TrustAnchorCellIdentifier."""
    return CellIdentifier(role=name.role, key_usage=_BITS[name.use], cell_usage=cell_usage(name.use))


def named(cell: CellIdentifier) -> CellName | None:
    """The cell that is meant; None where no device has such a one."""
    for use, bits in _BITS.items():
        if cell.key_usage == bits and cell.cell_usage is cell_usage(use):
            return CellName(cell.role, use)
    return None
