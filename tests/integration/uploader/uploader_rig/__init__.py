"""What stands around the uploader in its tests: a scripted camera, a scripted cloud, the connector's side of Redis."""
