"""Under which licence a package is, as its own metadata say, in SPDX's words."""

import re
from importlib.metadata import PackageMetadata

ALLOWED = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "LGPL-3.0-only",
    "LicenseRef-public-domain",
    "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib",
})  # fmt: skip
"""Those that let anyone use, change and pass on what is not theirs; a new one is read before it is added."""
_WORDS = {
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-2-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Public Domain": "LicenseRef-public-domain",
    "Python Software Foundation License": "PSF-2.0",
}
_CLASSIFIER = "License :: "
# Whose metadata say nothing; read in the files they come with.
_READ = {"atheris": "Apache-2.0"}
_IDENTIFIER = re.compile(r"[A-Za-z0-9.-]+")
_BETWEEN = {"AND", "OR", "WITH"}


def licence_of(name: str, metadata: PackageMetadata) -> str:
    """An SPDX expression; empty where nothing is said that is understood."""
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    said = [metadata["License"].strip()] if "License" in metadata else []
    classifiers = [str(one) for one in metadata.get_all("Classifier") or []]
    said += [one.rpartition(" :: ")[2] for one in classifiers if one.startswith(_CLASSIFIER)]
    for text in said:
        if text in ALLOWED:
            return text
        if text in _WORDS:
            return _WORDS[text]
    return _READ.get(name, "")


def is_allowed(expression: str) -> bool:
    """Every licence in the expression is one of those allowed: no choice is left to whoever reads it."""
    words = _IDENTIFIER.findall(expression)
    return bool(words) and all(word in ALLOWED or word in _BETWEEN for word in words)
