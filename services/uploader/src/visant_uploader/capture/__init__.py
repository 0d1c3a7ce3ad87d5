"""From the command queue to the spool: one command, one outcome."""
