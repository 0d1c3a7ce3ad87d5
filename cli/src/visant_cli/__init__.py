"""`visant`: a cloud of ours from a terminal, for people and for scripts. It knows the API alone."""
