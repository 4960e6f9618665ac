#!/usr/bin/env bash
# Rebuilds the front end and compares it with the committed files, byte for byte.
set -euo pipefail
cd "$(dirname "$0")"
fresh="$(mktemp -d)"
trap 'rm -rf "$fresh"' EXIT
npm ci --no-audit --no-fund --silent
node build.mjs "$fresh"
for file in chart.js cube.js curves.js markup.js THIRD_PARTY_LICENSES.txt; do
  cmp "$fresh/$file" "../../assets/$file" || {
    echo "assets/$file is not what the sources build: run 'npm ci && npm run build' in lab/frontend" >&2
    exit 1
  }
done
echo "assets/ is what lab/frontend builds"
