"""Pictures on their way in, and where they lie."""
