"""The HTTP surface, one module per subject."""
