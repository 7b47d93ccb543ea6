"""Change of supplier: the party that puts an incoming supplier's credentials on devices, and asks nobody's leave but
the registration data's (technical architecture 5.2; GBCS 13.3, supplierByTransCoS).

A device sees this party's signature alone: every question about who may have a home is answered here, before it.
"""
