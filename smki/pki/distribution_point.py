"""The issuing distribution points that lists of ours have, and no others (RFC 5280 5.2.5). Pure."""

from cryptography import x509

from smki.pki.scope import Scope


def distribution_point(scope: Scope) -> x509.IssuingDistributionPoint:
    """It names no place: no certificate of ours names one either."""
    return x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=scope is Scope.END_ENTITIES,
        only_contains_ca_certs=scope is Scope.AUTHORITIES,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def scope_of(point: x509.IssuingDistributionPoint | None) -> Scope | None:
    """The scope, if it is one that lists of ours have."""
    if point is None:
        return Scope.ALL
    return next(
        (scope for scope in (Scope.AUTHORITIES, Scope.END_ENTITIES) if point == distribution_point(scope)), None
    )
