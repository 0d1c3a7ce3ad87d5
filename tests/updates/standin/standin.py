"""A stand-in for a service: answers as the real ones do, and fails as told by BEHAVIOUR (baked into its image).

Its health is `health.sh`.

ok          healthy
unhealthy   runs, its healthcheck fails
crashing    its healthcheck passes, the process ends after a second
deaf        the connector never has its stream
blind       the camera never has a picture
quick       healthy; stops at once (the other behaviours do too)
"""

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SERVICE, BEHAVIOUR = os.environ["SERVICE"], os.environ["BEHAVIOUR"]
CAMERA = Path("/site/camera")
PICTURE = b"\xff\xd8 a picture \xff\xd9"


class Camera(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        good = BEHAVIOUR != "blind" and CAMERA.exists()
        body = PICTURE if good else b'{"title":"No camera","status":503,"reason":"camera_absent"}'
        self.send_response(200 if good else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


def run() -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print(f"{SERVICE} {BEHAVIOUR} runs", flush=True)
    if SERVICE == "camera":
        threading.Thread(target=ThreadingHTTPServer(("", 8080), Camera).serve_forever, daemon=True).start()
    if BEHAVIOUR == "crashing":
        time.sleep(2.5)
        print(f"{SERVICE} crashes", flush=True)
        return 1
    stop.wait()
    return 0


sys.exit(run())
