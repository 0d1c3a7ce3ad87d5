"""Whether a picture shows what it should: figures of it, beside the device's own normal. Pure."""
