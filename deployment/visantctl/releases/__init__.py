"""What one version is made of: its manifest, its signature, its images, its Compose project."""
