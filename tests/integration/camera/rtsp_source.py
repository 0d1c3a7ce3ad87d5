"""An RTSP camera: GStreamer's server, H.264, fed with frames whose upper edge carries their time of exposure.

    /usr/bin/python3 rtsp_source.py [--port N] [--user NAME:PASSWORD] [--key-frames SECONDS] [--stamps RATE]

Runs under Debian's Python (its GStreamer binding is no PyPI package) and imports nothing of ours. Prints
`rtsp://127.0.0.1:PORT/live` when it serves; ends with its standard input. `--check`: only says what is missing;
`--packages`: the Debian packages that bring it.

With `--stamps 0.6` the stamps of the stream advance at 60 % of the true rate; with `back` they return to 0 every 3 s.
The time is CLOCK_MONOTONIC in milliseconds, 40 bits as 40 blocks of 16x32 pixels, the highest first, white is 1.
"""

import argparse
import sys
import time

PACKAGES = """gir1.2-gst-rtsp-server-1.0 python3-gi
gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"""
WIDTH, HEIGHT, FPS = 640, 360, 30
BITS, BLOCK_HEIGHT = 40, 32
BLOCK = WIDTH // BITS


def picture(milliseconds: int) -> bytes:
    """One I420 frame."""
    row = b"".join((b"\xeb" if milliseconds >> (BITS - 1 - bit) & 1 else b"\x10") * BLOCK for bit in range(BITS))
    shade = bytes([64 + milliseconds // 33 % 128])
    luma = row * BLOCK_HEIGHT + shade * (WIDTH * (HEIGHT - BLOCK_HEIGHT))
    return luma + b"\x80" * (WIDTH * HEIGHT // 2)


def check() -> str:
    """What is missing, in words; empty where nothing is."""
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstRtspServer", "1.0")
        from gi.repository import Gst, GstRtspServer  # noqa: F401
    except (ImportError, ValueError) as error:
        return str(error)
    Gst.init(None)
    return " ".join(f"no {name}" for name in ("appsrc", "x264enc", "rtph264pay") if not Gst.ElementFactory.find(name))


def serve(port: int, user: str, key_frames: float, stamps: str) -> None:
    """Until standard input ends."""
    from gi.repository import GLib, Gst, GstRtspServer

    loop = GLib.MainLoop()

    def feed(source: Gst.Element, length: int) -> None:
        """Called by GStreamer when it wants the next frame: waits for its time, as a sensor does."""
        now = time.monotonic()
        next_at = max(feeding.get(source, now), now)
        time.sleep(next_at - now)
        feeding[source] = next_at + 1 / FPS
        frame = Gst.Buffer.new_wrapped(picture(int(time.monotonic() * 1000)))
        elapsed = next_at - began.setdefault(source, next_at)
        frame.pts = int(1e9 * (elapsed % 3 if stamps == "back" else elapsed * float(stamps)))
        source.emit("push-buffer", frame)

    feeding: dict[Gst.Element, float] = {}
    began: dict[Gst.Element, float] = {}

    def configure(factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
        source = media.get_element().get_by_name("frames")
        source.connect("need-data", feed)

    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( appsrc name=frames is-live=true format=time "
        f"caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={round(FPS * key_frames)} bitrate=2000 "
        f"! rtph264pay name=pay0 pt=96 config-interval=1 )"
    )
    factory.set_shared(True)
    factory.connect("media-configure", configure)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    if user:
        name, _, password = user.partition(":")
        role = "viewer"
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", role)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
        server.set_auth(auth)
        factory.add_role_from_structure(
            Gst.Structure.from_string(f"{role}, media.factory.access=true, media.factory.construct=true")[0]
        )
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    print(f"rtsp://127.0.0.1:{server.get_bound_port()}/live", flush=True)
    GLib.io_add_watch(0, GLib.IO_HUP | GLib.IO_IN, lambda *_: loop.quit())
    loop.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", default="")
    parser.add_argument("--key-frames", type=float, default=1.0)
    parser.add_argument("--stamps", default="1")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--packages", action="store_true")
    given = parser.parse_args()
    if given.packages:
        print(PACKAGES)
        sys.exit()
    missing = check()
    if missing:
        sys.exit(f"no RTSP source here: {missing}; as root, tools/test_needs.sh installs it")
    if not given.check:
        serve(given.port, given.user, given.key_frames, given.stamps)
