"""One prepared card becomes many devices, each with an identity of its own: deployment/CLONING.md."""
