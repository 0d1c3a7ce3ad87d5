#!/usr/bin/env bash
# `make release-key`: the key that signs this project's releases. The private half goes to KEY (outside the checkout),
# the public half is added to deployment/allowed_signers, which is committed: devices trust the keys in it.
# Run it again with another KEY to begin a rotation; docs/updates.md has the steps.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

KEY=${KEY:-${XDG_CONFIG_HOME:-$HOME/.config}/visant/release-key}
NAME=${NAME:-$(basename "$KEY")}
SIGNERS=${SIGNERS:-deployment/allowed_signers}

die() {
    printf 'release-key: %s\n' "$*" >&2
    exit 1
}

command -v ssh-keygen >/dev/null || die "ssh-keygen is missing: apt-get install openssh-client"
[[ $NAME =~ ^[A-Za-z0-9._@-]+$ ]] || die "NAME=$NAME: letters, digits and . _ @ - only"
case $(realpath -m "$KEY")/ in
"$PWD"/*) die "KEY=$KEY lies in the checkout, where it would be committed one day: name a file elsewhere" ;;
esac
[ ! -e "$KEY" ] || die "KEY=$KEY is there already: name another file, such as KEY=$KEY-2"
! grep -qs "^$NAME " "$SIGNERS" || die "NAME=$NAME is in $SIGNERS already: name another"

(umask 077 && mkdir -p "$(dirname "$KEY")")
# No passphrase: the release workflow reads it from a secret, and nobody is there to type one.
ssh-keygen -q -t ed25519 -N '' -C "$NAME" -f "$KEY"
printf '%s namespaces="visant-release" %s\n' "$NAME" "$(cut -d ' ' -f 1,2 "$KEY.pub")" >>"$SIGNERS"
cat <<DONE
private half   $KEY
               keep a copy offline; who has it can update every device, who loses it can update none.
               For .github/workflows/release.yml: gh secret set RELEASE_SIGNING_KEY --env release <"$KEY"
public half    $SIGNERS: commit it
DONE
