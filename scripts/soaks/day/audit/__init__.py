"""The audit of a day, which believes nothing: from logs, stores and files it recomputes what there must be.

It reads databases by SQL of its own, and certificates, lists and commands by the standard libraries; of what the
processes of the day thought they did it knows nothing.
"""
