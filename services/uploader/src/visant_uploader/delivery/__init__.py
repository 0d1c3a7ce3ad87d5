"""From the outbox to the cloud: a dead uplink delays nothing but what lies here."""
