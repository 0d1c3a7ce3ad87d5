"""A camera without hardware, for emulation and tests."""
