"""One module a command; see `visantctl.cli`."""
