"""`visantctl aim --listen`: the camera's aiming page on chosen addresses, behind a PIN, for a quarter of an hour."""
