"""How a device reaches the cloud, and how its people reach the device."""
