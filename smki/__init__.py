"""smki: certificate authority and key management for a smart-metering system."""

__version__ = "0.1.0"
