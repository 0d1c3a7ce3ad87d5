"""What the cloud does not like about this device, as one line for the person who can help. Pure."""


def refused(status: int, detail: str, device_id: str, token: bool) -> str:
    """Why the cloud does not want this device as it is: 401, 403 or 404."""
    said = f" ({detail})" if detail else ""
    if status == 401:
        what = "refuses DEVICE_TOKEN" if token else "wants a token"
        return (
            f"401: the cloud {what}{said}: `visant-cloud create-device {device_id}` prints one, put it in DEVICE_TOKEN"
        )
    if status == 403:
        return (
            f"403: the cloud does not let this device in{said}: activate {device_id} in the cloud, or check its token"
        )
    return f"404: the cloud does not know this device{said}: create {device_id} there, or check DEVICE_ID and API_URL"
