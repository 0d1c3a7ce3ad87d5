"""Who may do what: devices, people, programs; and how much of it."""
