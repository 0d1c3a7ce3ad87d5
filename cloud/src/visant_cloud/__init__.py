"""The other end: commands out to the devices, pictures and outcomes in, and the pages that show them."""
