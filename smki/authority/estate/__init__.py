"""The estate: registration data and the inventory of devices.

What others build on stands here; each is explained where it is defined.
"""

from smki.authority.estate.belief import Change, Difference, believe, believe_many, prove
from smki.authority.estate.inventory import device_of, devices_behind
from smki.authority.estate.meter_points import registered_at
from smki.store.estate_records import Believed, DeviceRecord, DeviceStatus, Registered

__all__ = [
    "Believed",
    "Change",
    "DeviceRecord",
    "DeviceStatus",
    "Difference",
    "Registered",
    "believe",
    "believe_many",
    "device_of",
    "devices_behind",
    "prove",
    "registered_at",
]
