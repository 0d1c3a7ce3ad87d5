"""What the cloud tells its devices: streams, schedules, and triggers that nobody answered."""
