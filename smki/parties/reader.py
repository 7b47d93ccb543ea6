"""The one a response is for opens its encrypted parts (GBCS 6.2.5)."""

from collections.abc import Iterable, Iterator

from smki.entity import EntityId, KeyUsage
from smki.errors import Refused
from smki.gbcs.agreement import SharedSecret
from smki.gbcs.header import Cra
from smki.gbcs.message import Message
from smki.gbcs.payload.tree import EncryptedBlock
from smki.gbcs.protection import decrypt, encryption_info
from smki.gbcs.verdict import Check, KeyRing
from smki.gbcs.words import Reading, Vocabulary, encrypted_blocks, read


def open_message(
    message: Message, checks: Iterable[Check], ring: KeyRing, reader: EntityId, vocabulary: Vocabulary
) -> Reading:
    """Read a message with its encrypted parts. All parts share one nonce, so nothing is opened that is not proven."""
    checks = tuple(checks)
    if message.header.cra is Cra.COMMAND or not any(check.what != "form" for check in checks):
        raise Refused("decrypt.unproven", "it is no response whose MAC or signature was checked", "give the response")
    for check in checks:
        if check.answer != "holds":
            reason = check.fault.message if check.fault else check.what
            raise Refused("decrypt.unproven", f"{check.what}: {reason}", "give what is needed to check it first")
    recipient = encryption_info(message.header).recipient
    if recipient != reader:
        raise Refused("decrypt.recipient", f"it is encrypted for {recipient}", "use the key of that party")
    blocks = encrypted_blocks(message, vocabulary.names)
    return read(message, vocabulary, _opened(message, blocks, ring, reader) if blocks else None)


def _opened(
    message: Message, blocks: tuple[EncryptedBlock, ...], ring: KeyRing, reader: EntityId
) -> dict[int, bytes]:
    last: Refused | None = None
    for secret in _secrets(message, ring, reader):
        try:
            return {
                block.offset: decrypt(
                    message.payload[block.offset : block.offset + block.length], message.header, secret
                )
                for block in blocks
            }
        except Refused as error:
            last = error
    raise last or Refused(
        "decrypt.certificate",
        f"no key agreement certificate of {message.header.originator} is known",
        "give the device's certificate",
    )


def _secrets(message: Message, ring: KeyRing, reader: EntityId) -> Iterator[SharedSecret]:
    """With each certificate the device may have used."""
    for known in ring.of(message.header.originator, KeyUsage.KEY_AGREEMENT):
        with ring.agreements[reader].with_peer(known.holder.public_key, known.point) as secret:
            yield secret
