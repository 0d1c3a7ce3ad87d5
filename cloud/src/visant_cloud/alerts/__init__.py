"""What is wrong with whom, since when and what to do: states of devices, alerts, and the messages about them."""
