"""Executes commands: takes the picture, spools its outcome durably, delivers it to the cloud."""
