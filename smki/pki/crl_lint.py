"""Lint of revocation lists: pkilint's rules of RFC 5280, and our own as a head-end applies them."""

from collections.abc import Iterator

from smki.errors import InvalidInput, Refused
from smki.pki.chain import crl_faults
from smki.pki.lint import Finding, Severity, found_by
from smki.pki.path import PathCrl

MOST_LINTED = 1000  # entries: pkilint makes some hundred objects of each


def lint_crl(der: bytes) -> Iterator[Finding]:
    """Every finding on a list, whoever signed it."""
    try:
        crl = PathCrl.read(der)
    except InvalidInput as error:
        yield Finding(Severity.FATAL, error.code, error.message)
        return
    yield from (Finding(Severity.ERROR, fault.code, fault.message) for fault in crl_faults(crl))
    if crl.unknown_critical:
        yield Finding(Severity.ERROR, "path.crl-extension", "critical extensions not known here (RFC 5280 5.2, 5.3)")
    if crl.entries <= MOST_LINTED:
        yield from _lint_pkix(der)


def _lint_pkix(der: bytes) -> Iterator[Finding]:
    from pkilint import loader, pkix
    from pkilint.pkix import crl, extension, name

    validator = crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container(),
            crl.create_extensions_validator_container([]),
        ],
    )
    yield from found_by(validator, loader.load_crl, der, "crl")


def refuse_crl_faults(der: bytes) -> None:
    """An ERROR or FATAL finding ends the making of a list."""
    faults = [f"{found.code} ({found.message})" for found in lint_crl(der) if found.severity >= Severity.ERROR]
    if faults:
        raise Refused("lint.fault", f"the list has faults: {'; '.join(faults)}", "correct publication.toml")
