"""What the camera service answers, one module a resource; and the server under it."""
