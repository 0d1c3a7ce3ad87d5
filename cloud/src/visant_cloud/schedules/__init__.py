"""When a schedule fires: its rule, the times that the rule gives, and both in words. Pure: no clock, no database."""
