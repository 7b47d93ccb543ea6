"""Whether what is asked of many homes is what is usual: pure. No store, no clock; counts, detectors and explanations.

`seen` and `limits` are what goes in, `counts` what is kept, `detectors` what judges. Nothing here learns by itself:
every number that decides stands in anomaly.toml, in a signed file of thresholds, or is a count of what was admitted.
"""
