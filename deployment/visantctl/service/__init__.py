"""What visant-device-v2.service is: it starts the services, follows their logs, and says how they are."""
