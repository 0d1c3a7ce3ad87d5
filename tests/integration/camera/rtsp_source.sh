#!/usr/bin/env bash
# Installs what rtsp_source.py needs (GStreamer's RTSP server and its Python binding, Debian's packages; root, once).
set -euo pipefail
packages=(gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly)

cd "$(dirname "$0")"
/usr/bin/python3 rtsp_source.py --check && exit
[ "$(id -u)" = 0 ] || { echo "run as root once: apt-get install ${packages[*]}" >&2; exit 1; }
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${packages[@]}"
/usr/bin/python3 rtsp_source.py --check
