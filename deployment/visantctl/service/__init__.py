"""What visant-device-v2.service is: it starts the services, looks after them, and says how they are."""
