"""The two questions one can ask: is this path valid, and is there a valid path."""

from collections.abc import Sequence
from datetime import datetime

from smki.errors import InvalidInput, Refused
from smki.pki.path.build import search
from smki.pki.path.certificate import PathCertificate, TrustAnchor
from smki.pki.path.options import InvalidPath, Options, ValidPath
from smki.pki.path.revocation import Revocation
from smki.pki.path.validate import validate
from smki.pki.path.work import Work
from smki.pki.verdict import Fault


def verify_path(
    anchor: TrustAnchor, path: Sequence[PathCertificate], at: datetime, options: Options
) -> ValidPath | InvalidPath:
    """Judge an ordered path: first the certificate the anchor signed, last the target."""
    _check_moment(at)
    work = Work()
    status = None if options.crls is None else Revocation(path[:-1], at, options, work)
    try:
        return validate(anchor, path, at, options, work, status)
    except Refused as error:
        return InvalidPath((Fault.of(error),))


def find_path(
    target: PathCertificate,
    anchors: Sequence[TrustAnchor],
    intermediates: Sequence[PathCertificate],
    at: datetime,
    options: Options,
) -> ValidPath | InvalidPath:
    """Judge a target by the best path from it to an anchor, through intermediates in any order."""
    _check_moment(at)
    work = Work()
    status = None if options.crls is None else Revocation(intermediates, at, options, work)

    def judge(anchor: TrustAnchor, path: Sequence[PathCertificate]) -> ValidPath | InvalidPath:
        return validate(anchor, path, at, options, work, status)

    return search(target, anchors, intermediates, work, judge)


def _check_moment(at: datetime) -> None:
    if at.tzinfo is None:
        raise InvalidInput("path.time", f"{at} says no time zone", "give a time in UTC")
