"""The cloud's memory: tables, and functions that read and write them on a connection that the caller owns."""
