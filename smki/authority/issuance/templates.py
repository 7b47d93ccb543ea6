"""The templates of one run: each compiled once, its specimen linted, then filled as often as wanted."""

import os
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.ceremony.plan import issuer_of
from smki.authority.issuance.policy import IssuingRule
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.pki.kind import Kind
from smki.pki.lint import lint, refuse_faults
from smki.pki.name import EMPTY, organisation_name, person_or_system_name
from smki.pki.request import Request
from smki.pki.serial import Serial
from smki.pki.template import Dated, Fields, Template, compile_template, draft, sign
from smki.pki.validity import Validity
from smki.store.records import AuthorityRecord

_Key = tuple[KeyUsage, RemotePartyRole | None, str | None]
MAX_KEPT = 64
_SPECIMEN = EntityId(b"\x02" + bytes(7))


class Templates:
    """What the certificates of one authority and one rule look like."""

    def __init__(self, rule: IssuingRule, authority: AuthorityRecord) -> None:
        self._rule = rule
        self._issuer = issuer_of(authority)
        self._compiled: dict[tuple[_Key, bool], Template] = {}

    def validity(self, now: datetime) -> Validity:
        """From this second without end, or from midnight for whole years."""
        if self._rule.years is None:
            return Validity.without_end(now.astimezone(UTC).replace(microsecond=0))
        return Validity.years(now.astimezone(UTC).date(), self._rule.years)

    def dated(self, request: Request, validity: Validity) -> Dated:
        """The template that answers a request."""
        return self._template((request.usage, request.role, request.common_name), validity).dated(validity)

    def _template(self, key: _Key, validity: Validity) -> Template:
        place = (key, validity.forms[0] is validity.forms[1])
        if place not in self._compiled:
            if len(self._compiled) >= MAX_KEPT:
                self._compiled.clear()
            self._compiled[place] = self._compile(key, validity)
        return self._compiled[place]

    def _compile(self, key: _Key, validity: Validity) -> Template:
        usage, role, common_name = key
        template = compile_template(
            draft(
                self._rule.profile,
                issuer=self._issuer,
                subject=_subject(self._rule.kind, role, common_name),
                policies=self._rule.hierarchy.policy_oids,
                validity=validity,
                usage=usage,
            ),
            os.urandom,
        )
        self._lint(template, validity)
        return template

    def _lint(self, template: Template, validity: Validity) -> None:
        """A specimen signed by a key that is thrown away: what is issued later is this, but for its holes."""
        key = ec.generate_private_key(ec.SECP256R1())
        entity = _SPECIMEN if template.draft.has_entity else None
        fields = Fields(Serial.from_entropy(os.urandom), validity, key.public_key(), entity)
        refuse_faults(lint(sign(template, fields, key, key.public_key()), self._rule.profile))


def _subject(
    kind: Kind, role: RemotePartyRole | None, common_name: str | None
) -> Callable[[EntityId | None], x509.Name]:
    if kind is Kind.DEVICE:
        return lambda _: EMPTY
    if kind is Kind.INFRASTRUCTURE:
        assert common_name is not None, "a request of this kind has one"
        name = person_or_system_name(common_name)
        return lambda _: name

    def organisation(entity: EntityId | None) -> x509.Name:
        assert role is not None, "a request of this kind has one"
        assert entity is not None, "a request of this kind has one"
        return organisation_name(role, entity, common_name)

    return organisation
