"""Path building: from a target up to an anchor, through a bag of certificates in no order and from no one we trust.

By name, as RFC 5280 6.1.3(a)(4) demands, and among equals the key identifiers say where to look first (RFC 4158 3.5).
A signature is verified before a certificate is put on the path, so a hostile bag costs signatures, of which there is
a limit, and not paths, which could be as many as there are ways through the bag.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from smki.errors import Refused
from smki.pki.path.certificate import PathCertificate, TrustAnchor
from smki.pki.path.options import InvalidPath, ValidPath, broken
from smki.pki.path.work import MAX_INTERMEDIATES, Work
from smki.pki.verdict import Fault

_T = TypeVar("_T", TrustAnchor, PathCertificate)
Judge = Callable[[TrustAnchor, Sequence[PathCertificate]], ValidPath | InvalidPath]


def search(
    target: PathCertificate,
    anchors: Sequence[TrustAnchor],
    bag: Sequence[PathCertificate],
    work: Work,
    judge: Judge,
) -> ValidPath | InvalidPath:
    """The first path that breaks no rule, or what the most promising one broke."""
    bag = tuple(dict.fromkeys(certificate for certificate in bag if certificate != target))
    if len(bag) > MAX_INTERMEDIATES:
        message = f"{len(bag)} intermediate certificates, and {MAX_INTERMEDIATES} is the limit"
        return InvalidPath((broken("budget", message),))
    found = _Search(tuple(anchors), bag, work, judge)
    try:
        path = found.climb([target])
    except Refused as error:
        spent = Fault.of(error)
        return InvalidPath((*found.best, spent))
    return path or InvalidPath(found.best or tuple(found.misses(target)))


@dataclass(slots=True)
class _Search:
    anchors: tuple[TrustAnchor, ...]
    bag: tuple[PathCertificate, ...]
    work: Work
    judge: Judge
    best: tuple[Fault, ...] = ()
    unsigned: list[PathCertificate] = field(default_factory=list)
    orphans: list[PathCertificate] = field(default_factory=list)

    def climb(self, path: list[PathCertificate]) -> ValidPath | None:
        """Every way up from the last certificate of `path`; anchors first, so short paths come before long ones."""
        self.work.step()
        top = path[-1]
        alone = True
        for anchor in _nearest(top, [a for a in self.anchors if a.name == top.issuer]):
            alone = False
            if not self._signs(anchor.point, top):
                continue
            verdict = self.judge(anchor, path[::-1])
            if isinstance(verdict, ValidPath):
                return verdict
            if not self.best or len(verdict.faults) < len(self.best):
                self.best = verdict.faults
        issuers = [c for c in self.bag if c.subject == top.issuer]
        for issuer in _nearest(top, sorted(issuers, key=self._is_far)):
            alone = False
            # The same name with the same key a second time leads nowhere new (RFC 4158 5.2).
            if any((c.subject, c.point) == (issuer.subject, issuer.point) for c in path):
                continue
            if self._signs(issuer.point, top) and (found := self.climb([*path, issuer])):
                return found
        if alone:
            self.orphans.append(top)
        return None

    def _is_far(self, certificate: PathCertificate) -> bool:
        """Whether no anchor has the name of this one's issuer: then it is tried after those that end the path."""
        return all(anchor.name != certificate.issuer for anchor in self.anchors)

    def _signs(self, point: bytes, certificate: PathCertificate) -> bool:
        if self.work.is_signed(point, certificate.signature, certificate.signed):
            return True
        self.unsigned.append(certificate)
        return False

    def misses(self, target: PathCertificate) -> Iterator[Fault]:
        """Why there is no path at all, in a few words."""
        orphans = list(dict.fromkeys(self.orphans))
        for certificate in list(dict.fromkeys(self.unsigned))[:3]:
            yield broken("signature", f"{certificate} is not signed by an issuer at hand (RFC 5280 6.1.3(a)(1))")
        for certificate in orphans[:3]:
            yield broken("no-anchor", f"no issuer at hand of {certificate}: {certificate.issuer} (RFC 5280 6.1.1(d))")
        if not orphans:
            yield broken("no-anchor", f"no path leads from {target} to a trust anchor (RFC 5280 6.1.1(d))")


def _nearest(top: PathCertificate, issuers: list[_T]) -> list[_T]:
    """Those whose key is the one named first, those that name no key next, and the others last."""
    wanted = top.authority_key_identifier

    def distance(issuer: _T) -> int:
        if issuer.key_identifier is None or wanted is None:
            return 1
        return 0 if issuer.key_identifier == wanted else 2

    return sorted(issuers, key=distance)
