"""Many devices at once: how they are called, how some of them are named by a filter, and what is done to those."""
