"""The commands, one module a noun. Each asks the cloud and prints; what is shared lies a floor above."""
