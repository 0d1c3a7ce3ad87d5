"""Backups: rows and pictures of a whole cloud in one folder, made beside a running cloud, and put back."""
