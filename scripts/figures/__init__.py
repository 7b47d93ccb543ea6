"""Measured figures: each in a file of docs/figures, and from there, and nowhere else, in the documents.

Whoever measures writes one file, and the documents follow:

    from scripts.figures.blocks import fill
    from scripts.figures.machine import look
    from scripts.figures.record import record

    measured = look("scripts/soak traffic --figures")   # before the run: it notes what else the machine was doing
    ...
    record("traffic", {"commands": 590_000, "attacks": [{"name": "burst", "share": 0.004}, ...]}, measured)
    fill()

`record` writes docs/figures/traffic.json: what it was given, and under `measured` where and when it was. Documents
have blocks in the form that `blocks.py` describes; `fill` writes them anew, `scripts/fill-figures` does only that,
and a test fails where a block is not what its file says.
"""
