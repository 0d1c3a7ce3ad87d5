"""What happened, as it is told to programs: each change with a number, read live or from where one had got to."""
