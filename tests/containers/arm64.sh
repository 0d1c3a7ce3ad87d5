#!/usr/bin/env bash
# The device's images for linux/arm64, built here without an emulator, and the camera's run under qemu-user with the
# fake camera on top: it must take a picture. On a machine without arm64 base images they are made first (lab/arm64.sh: two minutes, once).
# shellcheck source=tests/containers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_engine
if [ -n "$(lab/env.sh)" ]; then lab/arm64.sh; else lab/arm64.sh run; fi
started=$SECONDS
version=$(tools/version.py)
export TAG="$version-arm64" # beside this machine's own
PLATFORM=linux/arm64 PROGRESS=plain tools/images.sh device emulation >/dev/null 2>&1 ||
    die "the arm64 images were not built: PLATFORM=linux/arm64 make images says why"
echo "arm64 images built in $((SECONDS - started)) s"
started=$SECONDS
name="visant-arm64-$$"
trap 'docker rm --force "$name" >/dev/null 2>&1' EXIT
trap 'exit 130' INT TERM HUP
# The picture is read back and must decode: a fake that answered nothing would pass otherwise.
docker run --rm --name "$name" --no-healthcheck --platform linux/arm64 --read-only --cap-drop ALL --tmpfs /tmp -e CAMERA_SOURCE=fake \
    --entrypoint sh "visant/camera-emulation:$version-arm64" -c '
        test "$(uname -m)" = aarch64 && visant-camera snapshot --out /tmp/x.jpg &&
        python3 -c "import cv2; picture = cv2.imread(\"/tmp/x.jpg\"); assert picture.shape == (720, 1280, 3); print(\"it decodes\")"' ||
    die "the arm64 camera took no picture"
echo "arm64 camera took a picture under qemu-user in $((SECONDS - started)) s"
