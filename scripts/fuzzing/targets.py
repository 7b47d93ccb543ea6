"""Every target, by its name."""

from scripts.fuzzing import batches, certificates, files, options, policy, stores, wire
from scripts.fuzzing.target import Target

TARGETS: dict[str, Target] = {
    **wire.TARGETS,
    **certificates.TARGETS,
    **files.TARGETS,
    **batches.TARGETS,
    **policy.TARGETS,
    **options.TARGETS,
    **stores.TARGETS,
}
