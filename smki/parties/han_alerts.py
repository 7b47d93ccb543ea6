"""What a hub or a proxy told before it was replaced: its alert is believed once it is proven."""

from smki.authority.standing import REVOKED
from smki.entity import EntityId
from smki.errors import InvalidInput, Refused
from smki.gbcs.header import Cra, MessageCode
from smki.gbcs.message import Message, read_message
from smki.gbcs.use_case import UseCases
from smki.gbcs.verdict import KeyRing, verify


def read_alert(octets: bytes, source: str, code: MessageCode) -> Message:
    """The alert with this code, of which nothing is believed yet."""
    message = read_message(octets)
    if (message.header.cra, message.header.code) != (Cra.ALERT, code):
        raise InvalidInput("han.alert", f"{source} holds no alert {code}", "give the one that was sent")
    return message


def refuse_unless_proven(message: Message, teller: EntityId, use_cases: UseCases, ring: KeyRing) -> None:
    """An alert puts devices into a home, so whoever could make one up could put in any: it is shown to be its own."""
    originator = message.header.originator
    if originator != teller:
        raise Refused(
            "han.teller",
            f"the alert is by {originator}, and that of {teller} is asked for",
            "name the device that was replaced: --told-by EUI-64",
        )
    for check in verify(message, use_cases, ring):
        if check.answer != "holds":
            reason = check.what if check.fault is None else check.fault.message
            if check.fault is not None and check.fault.code == REVOKED:
                raise Refused(check.fault.code, reason, check.fault.remedy)
            raise Refused(
                "han.unproven",
                f"nobody has shown that {originator} sent the alert: {reason}",
                "give what checks it: --certificates of the device, and the key of whom it was sent to",
            )
