"""Pictures on their way in, what reads them, and where they lie."""
