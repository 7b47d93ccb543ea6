"""Certificates, requests and lists: read, written and judged, with no database, no HSM and no terminal."""

import warnings

# A name longer or shorter than X.520 allows is read all the same, and judged by our own rules: what the library would
# print about it beside them tells nobody anything.
warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
