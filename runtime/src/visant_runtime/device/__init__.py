"""What connector and uploader, the services of a device that know its cloud, share: settings, HTTP, the queue's group.

The one part of this package that knows product words. It needs the extra `device` (httpx, redis, visant-contract),
which camera and cloud do not get.
"""
