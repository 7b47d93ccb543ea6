"""Validation of one ordered path, step by step, under the numbers of RFC 5280 section 6.1."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from smki.pki.path.certificate import PathCertificate, TrustAnchor
from smki.pki.path.conformance import Place, unfit
from smki.pki.path.constraints import Constrained, violations
from smki.pki.path.names import DistinguishedName
from smki.pki.path.options import ANY_POLICY, InvalidPath, Options, ValidPath, broken
from smki.pki.path.policy import PolicyGraph
from smki.pki.path.work import Work
from smki.pki.verdict import Fault

_PROCESSED = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.POLICY_MAPPINGS,
    ExtensionOID.POLICY_CONSTRAINTS,
    ExtensionOID.INHIBIT_ANY_POLICY,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
}


class RevocationCheck(Protocol):
    """Says whether certificate `number` of a path is revoked."""

    def __call__(self, anchor: TrustAnchor, path: Sequence[PathCertificate], number: int) -> Iterator[Fault]: ...


@dataclass(slots=True)
class _State:
    """The state variables of 6.1.2; the comments are its letters.

    Counters may fall below nought, which is no other than nought: nothing is left.
    """

    issuer: DistinguishedName  # (j)
    point: bytes  # (g), and with P-256 alone (h) and (i)
    initial_policies: frozenset[ObjectIdentifier]
    explicit_policy: int  # (d)
    inhibit_any: int  # (e)
    policy_mapping: int  # (f)
    max_path_length: int  # (k)
    graph: PolicyGraph = field(default_factory=PolicyGraph)  # (a)
    permitted: list[tuple[Constrained, ...]] = field(default_factory=list)  # (b)
    excluded: list[Constrained] = field(default_factory=list)  # (c)


def validate(
    anchor: TrustAnchor,
    path: Sequence[PathCertificate],
    at: datetime,
    options: Options,
    work: Work,
    status: RevocationCheck | None,
) -> ValidPath | InvalidPath:
    """Judge a path: first the certificate the anchor signed, last the target. Every broken rule is told."""
    if not path:
        return InvalidPath((broken("no-anchor", "a path of no certificates (RFC 5280 6.1)"),))
    work.judge_path()
    moment = at.replace(microsecond=0)  # certificates know whole seconds; a fraction belongs to the second begun
    state = _initialise(anchor, len(path), options)
    faults = list(_check_anchor(anchor, moment, options, state, work))
    above = anchor.certificate
    for index, certificate in enumerate(path):
        final = index == len(path) - 1
        faults += _process(certificate, state, moment, options, work, final=final)
        if status is not None:
            faults += status(anchor, path, index)  # 6.1.3(a)(3)
        place = Place.TARGET if final else Place.AUTHORITY
        identifier = above.key_identifier if above else anchor.key_identifier
        faults += unfit(certificate, place, identifier, options.conformance, work)
        faults += _wrap_up(certificate, state, options) if final else _prepare(certificate, state, options)
        above = certificate
    policies = state.graph.intersection(state.initial_policies)
    if state.explicit_policy <= 0 and not policies:
        faults.append(broken("policy", "no policy is both required and valid for the whole path (RFC 5280 6.1.5(g))"))
    return InvalidPath(tuple(dict.fromkeys(faults))) if faults else ValidPath(anchor, tuple(path), policies)


def _initialise(anchor: TrustAnchor, length: int, options: Options) -> _State:
    """6.1.2; a counter that may never reach nought begins past the path's length."""
    never = length + 1
    return _State(
        issuer=anchor.name,
        point=anchor.point,
        initial_policies=options.initial_policies,
        explicit_policy=0 if options.explicit_policy else never,
        inhibit_any=0 if options.inhibit_any else never,
        policy_mapping=0 if options.inhibit_mapping else never,
        max_path_length=options.max_depth,
    )


def _check_anchor(anchor: TrustAnchor, at: datetime, options: Options, state: _State, work: Work) -> Iterator[Fault]:
    """An anchor given as a certificate brings its constraints (RFC 5937 3); one given as a key has none."""
    certificate = anchor.certificate
    if certificate is None:
        return
    if not options.disapply_time:
        yield from _check_time(certificate, at)
    yield from _check_critical(certificate, options, "RFC 5937 3.2")
    yield from unfit(certificate, Place.ANCHOR, None, options.conformance, work)
    _take_constraints(certificate, state)
    constraints = certificate.value(x509.BasicConstraints)
    if constraints is not None and constraints.path_length is not None:
        state.max_path_length = min(state.max_path_length, constraints.path_length)
    if certificate.policies is not None and ANY_POLICY not in certificate.policies:
        own = frozenset(certificate.policies)
        state.initial_policies = own if ANY_POLICY in state.initial_policies else state.initial_policies & own


def _process(
    certificate: PathCertificate, state: _State, at: datetime, options: Options, work: Work, *, final: bool
) -> Iterator[Fault]:
    """6.1.3, but for (a)(3)."""
    if not work.is_signed(state.point, certificate.signature, certificate.signed):  # (a)(1)
        yield broken("signature", f"{certificate} is not signed by the key above it (RFC 5280 6.1.3(a)(1))")
    if not options.disapply_time:  # (a)(2)
        yield from _check_time(certificate, at)
    if certificate.issuer != state.issuer:  # (a)(4)
        yield broken("name-chaining", f"{certificate} names another issuer (RFC 5280 6.1.3(a)(4))")
    if final or not certificate.is_self_issued:  # (b), (c)
        for message in violations(certificate.names, state.permitted, state.excluded, work.compare):
            yield broken("name-constraint", message)
    if certificate.policies is None:  # (e)
        state.graph.clear()
    else:  # (d)
        any_allowed = state.inhibit_any > 0 or (not final and certificate.is_self_issued)
        state.graph.add(certificate.policies, any_allowed=any_allowed)
        work.compare(state.graph.width + len(certificate.mappings))
    if state.explicit_policy <= 0 and state.graph.is_null:  # (f)
        yield broken("policy", f"a policy is required, and none is valid down to {certificate} (RFC 5280 6.1.3(f))")


def _prepare(certificate: PathCertificate, state: _State, options: Options) -> Iterator[Fault]:
    """6.1.4: from certificate i to certificate i+1."""
    if any(ANY_POLICY in pair for pair in certificate.mappings):  # (a)
        yield broken("policy", f"{certificate} maps anyPolicy (RFC 5280 6.1.4(a))")
    state.graph.map(certificate.mappings, allowed=state.policy_mapping > 0)  # (b)
    state.issuer, state.point = certificate.subject, certificate.point  # (c) to (f)
    if not certificate.is_self_issued:  # (h)
        state.explicit_policy -= 1
        state.policy_mapping -= 1
        state.inhibit_any -= 1
    _take_constraints(certificate, state)  # (g), (i), (j)
    constraints = certificate.value(x509.BasicConstraints)
    if constraints is None or not constraints.ca:  # (k)
        yield broken("issuer-not-ca", f"{certificate} is no authority (RFC 5280 6.1.4(k))")
    if not certificate.is_self_issued:  # (l)
        if state.max_path_length <= 0:
            yield broken("length", f"{certificate} makes the path longer than allowed (RFC 5280 6.1.4(l))")
        state.max_path_length -= 1
    if constraints is not None and constraints.path_length is not None:  # (m)
        state.max_path_length = min(state.max_path_length, constraints.path_length)
    usage = certificate.value(x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:  # (n)
        yield broken("key-usage", f"{certificate} may not sign certificates (RFC 5280 6.1.4(n))")
    yield from _check_critical(certificate, options, "RFC 5280 6.1.4(o)")
    yield from _check_purpose(certificate, options, final=False)


def _wrap_up(certificate: PathCertificate, state: _State, options: Options) -> Iterator[Fault]:
    """6.1.5, but for (g)."""
    state.explicit_policy -= 1  # (a)
    _take_constraints(certificate, state)  # (b); nobody is below whom the others concern
    yield from _check_critical(certificate, options, "RFC 5280 6.1.5(f)")
    yield from _check_purpose(certificate, options, final=True)


def _take_constraints(certificate: PathCertificate, state: _State) -> None:
    """6.1.4(g), (i) and (j); of a target, 6.1.5(b); of an anchor, RFC 5937 3.2."""
    if certificate.permitted:
        state.permitted.append(certificate.permitted)
    state.excluded.extend(certificate.excluded)
    constraints = certificate.value(x509.PolicyConstraints)
    if constraints is not None and constraints.require_explicit_policy is not None:
        state.explicit_policy = min(state.explicit_policy, constraints.require_explicit_policy)
    if constraints is not None and constraints.inhibit_policy_mapping is not None:
        state.policy_mapping = min(state.policy_mapping, constraints.inhibit_policy_mapping)
    inhibit = certificate.value(x509.InhibitAnyPolicy)
    if inhibit is not None:
        state.inhibit_any = min(state.inhibit_any, inhibit.skip_certs)


def _check_time(certificate: PathCertificate, at: datetime) -> Iterator[Fault]:
    """Both ends belong to the time of validity (RFC 5280 4.1.2.5)."""
    if at < certificate.not_before:
        yield broken("not-yet-valid", f"{certificate} is valid from {certificate.not_before} (RFC 5280 6.1.3(a)(2))")
    if at > certificate.not_after:
        yield broken("expired", f"{certificate} was valid until {certificate.not_after} (RFC 5280 6.1.3(a)(2))")


def _check_critical(certificate: PathCertificate, options: Options, clause: str) -> Iterator[Fault]:
    processed = _PROCESSED if options.crls is None else _PROCESSED | {ExtensionOID.CRL_DISTRIBUTION_POINTS}
    unknown = sorted(oid.dotted_string for oid in certificate.critical - processed)
    if unknown:
        shown = ", ".join(unknown[:3])
        yield broken(
            "critical-extension", f"{certificate} has critical extensions not known here: {shown} ({clause})"
        )


def _check_purpose(certificate: PathCertificate, options: Options, *, final: bool) -> Iterator[Fault]:
    """A target must state the purpose asked for; an authority that states purposes must not leave it out.

    RFC 5280 4.2.1.12 allows an application to want that, and to be content with no anyExtendedKeyUsage in a target.
    """
    wanted = options.extended_key_usage
    if wanted is None:
        return
    stated = certificate.value(x509.ExtendedKeyUsage)
    if stated is None:
        fits = not final
    else:
        fits = wanted in stated or (not final and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in stated)
    if not fits:
        yield broken("extended-key-usage", f"{certificate} is not for the purpose asked for (RFC 5280 4.2.1.12)")
