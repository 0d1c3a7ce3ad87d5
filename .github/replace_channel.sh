#!/usr/bin/env bash
# replace_channel.sh CHANNEL FOLDER: the channel's release.json and release.json.sig on GitHub become FOLDER's, as one.
#
# GitHub replaces no file: `gh release upload --clobber` deletes, then uploads (github.com/cli/cli/pull/12711). A device
# that looks in between finds no file, or two that do not belong together: it takes neither and looks again the next
# night. What may not happen is that such a pair stays, so both are read back and uploaded again until they are FOLDER's.
set -euo pipefail
channel=$1 folder=$2
files=(release.json.sig release.json)

gh release view "$channel" >/dev/null 2>&1 ||
  gh release create "$channel" --prerelease --title "channel $channel" --notes "What this channel offers."
back=$(mktemp -d)
trap 'rm -rf "$back"' EXIT
for attempt in 1 2 3 4 5; do
  if gh release upload "$channel" "${files[@]/#/$folder/}" --clobber &&
    gh release download "$channel" --pattern 'release.json*' --dir "$back" --clobber &&
    cmp "$folder/release.json" "$back/release.json" && cmp "$folder/release.json.sig" "$back/release.json.sig"; then
    exit 0
  fi
  echo "attempt $attempt of 5: the channel does not hold both files yet" >&2
  sleep $((attempt * ${RETRY_SECONDS:-5}))
done
echo "::error::the channel $channel may hold a manifest and a signature that do not belong together: run this job again"
exit 1
