"""One file a check: a file added is a check added, under the file's name. See `doctor.checkup` for what it offers."""
