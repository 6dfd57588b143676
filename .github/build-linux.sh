#!/bin/sh
# Builds and packs what one Linux platform gets, in a bare Node image: Debian 10's has the oldest glibc
# that Node 20 runs on, Alpine's has musl.
set -eu
if command -v apk > /dev/null; then
  apk add --no-cache build-base curl tar
fi
curl --proto '=https' --tlsv1.2 -fsSL https://sh.rustup.rs | sh -s -- -y --profile minimal
. "$HOME/.cargo/env"
npm ci
npm run build
npm run pack
