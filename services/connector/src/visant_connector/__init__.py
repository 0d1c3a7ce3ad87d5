"""Holds the cloud's command stream and admits its commands into Redis."""
