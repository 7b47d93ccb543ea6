"""Revocation of one certificate of a path, step by step, under the letters of RFC 5280 section 6.3.3."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from smki.pki.path.build import search
from smki.pki.path.certificate import PathCertificate, TrustAnchor
from smki.pki.path.constraints import Constrained, Form, general_name
from smki.pki.path.crl import PathCrl
from smki.pki.path.names import DistinguishedName
from smki.pki.path.options import InvalidPath, Options, Rule, ValidPath, broken
from smki.pki.path.validate import validate
from smki.pki.path.work import Work
from smki.pki.verdict import Fault

MAX_NESTED = 4  # the signer of a CRL, the signer of the CRL on that signer, and so on; NIST's tests go to 2
_Reasons = frozenset[x509.ReasonFlags]
ALL_REASONS: _Reasons = frozenset(x509.ReasonFlags) - {
    x509.ReasonFlags.unspecified,
    x509.ReasonFlags.remove_from_crl,
}


@dataclass(frozen=True, slots=True)
class _Delta:
    """A delta CRL with its numbers: one without says of no other that it builds on it."""

    number: int
    base: int
    crl: PathCrl

    def extends(self, crl: PathCrl) -> bool:
        """RFC 5280 5.2.4: of the same issuer, scope and key, and built on this CRL or an older one."""
        if crl.number is None:
            return False
        same = (self.crl.issuer, self.crl.scope, self.crl.authority_key_identifier) == (
            crl.issuer,
            crl.scope,
            crl.authority_key_identifier,
        )
        return same and self.base <= crl.number < self.number


class Revocation:
    """The CRLs of one verdict."""

    def __init__(self, bag: Sequence[PathCertificate], at: datetime, options: Options, work: Work) -> None:
        crls = tuple(dict.fromkeys(options.crls or ()))
        # The newest first: once it has spoken, an older one still in force is not asked (6.3.3(e)).
        newest_first = sorted(crls, key=lambda crl: crl.this_update, reverse=True)
        self._complete = [crl for crl in newest_first if not crl.is_delta]
        self._deltas = _deltas(crls)
        self._signers = (*options.crl_signers, *bag)
        self._at = at.replace(microsecond=0)
        self._options = options
        self._work = work
        self._open: set[bytes] = set()  # certificates whose status is being asked: a CRL cannot vouch for itself

    def __call__(self, anchor: TrustAnchor, path: Sequence[PathCertificate], number: int) -> Iterator[Fault]:
        """Nothing if the certificate is surely not revoked; why not, otherwise."""
        certificate = path[number]
        if certificate.der in self._open or len(self._open) >= MAX_NESTED:
            yield broken("no-crl", f"no one independent vouches for {certificate} (RFC 5280 6.3.3(f))")
            return
        self._open.add(certificate.der)
        try:
            yield from self._status(anchor, path, number)
        finally:
            self._open.discard(certificate.der)

    def _status(self, anchor: TrustAnchor, path: Sequence[PathCertificate], number: int) -> Iterator[Fault]:
        certificate = path[number]
        seen: _Reasons = frozenset()  # 6.3.2 reasons_mask
        notes: list[Fault] = []
        for point in _points(certificate):
            for crl in self._complete:
                if not _is_by(crl, point, certificate):  # (b)(1)
                    continue
                self._work.step()
                why_not = self._unusable(crl) or _out_of_scope(crl, point, certificate)  # (a), (b)(2)
                covered = _covered(crl, point)  # (d)
                if why_not is None and not covered <= seen:  # (e)
                    key = self._signing_key(crl, point, anchor, path[: number + 1])  # (f), (g)
                    if key is None:
                        why_not = broken(
                            "crl-signature", f"{crl} is signed by no one who may (RFC 5280 6.3.3(f), (g))"
                        )
                    elif (reason := self._reason(crl, key, certificate)) is not None:  # (h) to (k)
                        yield broken("revoked", f"{certificate} is revoked: {reason.value} (RFC 5280 6.3.3(j))")
                        return
                    else:
                        seen |= covered  # (l)
                if why_not is not None:
                    notes.append(why_not)
        if seen != ALL_REASONS:
            yield broken("no-crl", f"whether {certificate} is revoked cannot be known (RFC 5280 6.1.3(a)(3))")
            yield from dict.fromkeys(notes)

    def _unusable(self, crl: PathCrl) -> Fault | None:
        """Why a CRL can say nothing of any certificate now."""
        if not crl.is_current(self._at):
            return broken(
                "crl-stale", f"{crl} was in force from {crl.this_update} to {crl.next_update} (RFC 5280 6.3.3(a))"
            )
        if crl.unknown_critical:
            return broken("crl-extension", f"{crl} has critical extensions not known here (RFC 5280 5.2, 5.3)")
        if Rule.CRL_NUMBER in self._options.conformance and (crl.number is None or crl.is_number_critical):
            return broken("crl-number", f"{crl} has no number, or a critical one (RFC 5280 5.2.3)")
        return None

    def _reason(self, crl: PathCrl, key: bytes, certificate: PathCertificate) -> x509.ReasonFlags | None:
        """(h) to (k): the newest delta knows better than the CRL it builds on."""
        newest = next((delta.crl for delta in self._deltas if self._builds_on(crl, delta, key)), None)
        reason = None if newest is None else newest.reason(certificate.issuer, certificate.serial)  # (i)
        if reason is None:
            return crl.reason(certificate.issuer, certificate.serial)  # (j)
        return None if reason is x509.ReasonFlags.remove_from_crl else reason  # (k)

    def _builds_on(self, crl: PathCrl, delta: _Delta, key: bytes) -> bool:
        """(c), and (h): in force itself, and signed with the key of the CRL."""
        fits = delta.extends(crl) and self._unusable(delta.crl) is None
        return fits and self._work.is_signed(key, delta.crl.signature, delta.crl.signed)

    def _signing_key(
        self,
        crl: PathCrl,
        point: x509.DistributionPoint | None,
        anchor: TrustAnchor,
        path: Sequence[PathCertificate],
    ) -> bytes | None:
        """(f) and (g): the key of someone of the issuer's name who may sign CRLs, under the same anchor."""
        may = anchor.name == crl.issuer and (anchor.certificate is None or _may_sign(anchor.certificate))
        if may and self._work.is_signed(anchor.point, crl.signature, crl.signed):
            return anchor.point
        *above, certificate = path
        named = point is not None and point.crl_issuer is not None
        for signer in dict.fromkeys((*reversed(above), *self._signers)):
            if signer.subject != crl.issuer or not _may_sign(signer):
                continue
            if not self._work.is_signed(signer.point, crl.signature, crl.signed):
                continue
            # No one vouches for himself, unless the one who certified him named him as issuer of that CRL.
            alone = signer == certificate and named
            if signer in above or alone or self._is_under(anchor, signer, above):
                return signer.point
        return None

    def _is_under(self, anchor: TrustAnchor, signer: PathCertificate, above: Sequence[PathCertificate]) -> bool:
        """Whether the path of a signer that is not on the path itself is valid, with its own status known."""
        options = self._options.for_crl_signer()

        def judge(found: TrustAnchor, path: Sequence[PathCertificate]) -> ValidPath | InvalidPath:
            return validate(found, path, self._at, options, self._work, self)

        bag = tuple(certificate for certificate in (*above, *self._signers) if certificate.is_authority)
        return isinstance(search(signer, (anchor,), bag, self._work, judge), ValidPath)


def _deltas(crls: Iterable[PathCrl]) -> list[_Delta]:
    """The newest first."""
    numbered = [_Delta(crl.number, crl.base, crl) for crl in crls if crl.number is not None and crl.base is not None]
    return sorted(numbered, key=lambda delta: delta.number, reverse=True)


def _points(certificate: PathCertificate) -> tuple[x509.DistributionPoint | None, ...]:
    """The distribution points; and None, for whatever else the issuer published (6.3.3, last paragraph)."""
    points = certificate.value(x509.CRLDistributionPoints)
    return (*(points or ()), None)


def _may_sign(certificate: PathCertificate) -> bool:
    usage = certificate.value(x509.KeyUsage)
    return usage is None or usage.crl_sign


def _is_by(crl: PathCrl, point: x509.DistributionPoint | None, certificate: PathCertificate) -> bool:
    """(b)(1): issued by whom the distribution point names, or by the certificate's issuer."""
    if point is None or point.crl_issuer is None:
        return crl.issuer == certificate.issuer
    indirect = crl.scope is not None and crl.scope.indirect_crl
    return indirect and crl.issuer in _directory_names(point.crl_issuer)


def _out_of_scope(crl: PathCrl, point: x509.DistributionPoint | None, certificate: PathCertificate) -> Fault | None:
    """(b)(2)."""
    scope = crl.scope
    if scope is None:
        return None
    is_out = (
        (scope.only_contains_user_certs and certificate.is_authority)
        or (scope.only_contains_ca_certs and not certificate.is_authority)
        or scope.only_contains_attribute_certs
    )
    published = _names(scope, crl.issuer)
    if published is not None and not published & _wanted(point, certificate):
        is_out = True
    return broken("crl-scope", f"{crl} does not cover {certificate} (RFC 5280 6.3.3(b)(2))") if is_out else None


def _wanted(point: x509.DistributionPoint | None, certificate: PathCertificate) -> frozenset[Constrained]:
    """The names under which a CRL for this distribution point is published."""
    if point is None:
        return frozenset({Constrained(Form.DIRECTORY, certificate.issuer)})
    issuers = _directory_names(point.crl_issuer or ())
    names = _names(point, issuers[0] if len(issuers) == 1 else certificate.issuer)
    if names is None:
        names = frozenset(Constrained(Form.DIRECTORY, issuer) for issuer in issuers)
    return names


def _names(
    place: x509.DistributionPoint | x509.IssuingDistributionPoint, issuer: DistinguishedName
) -> frozenset[Constrained] | None:
    """A distribution point's names; one relative to the issuer made whole (RFC 5280 4.2.1.13)."""
    if place.relative_name is not None:
        return frozenset({Constrained(Form.DIRECTORY, issuer.under(place.relative_name))})
    if place.full_name is None:
        return None
    names = (general_name(name) for name in place.full_name)
    return frozenset(name for name in names if name.value is not None)


def _directory_names(names: Sequence[x509.GeneralName]) -> list[DistinguishedName]:
    return [DistinguishedName.of(name.value) for name in names if isinstance(name, x509.DirectoryName)]


def _covered(crl: PathCrl, point: x509.DistributionPoint | None) -> _Reasons:
    """(d): the reasons this CRL speaks of."""
    published = crl.scope.only_some_reasons if crl.scope is not None else None
    wanted = point.reasons if point is not None else None
    return (published or ALL_REASONS) & (wanted or ALL_REASONS) & ALL_REASONS
