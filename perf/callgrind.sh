#!/bin/sh
# Instructions per request of a worker under a fixed load: the same from run to run, on a busy machine
# too, and so the figure to compare two versions of the code by.
#
#   perf/callgrind.sh [plain|tls|sse|sse-tls] [bytes] [requests] [caller] [provider]
#
# caller and provider are dialects, openai or anthropic: with different ones the requests are translated.
#
# Starts the mock and gatewayd with one worker under callgrind, sends the requests over 8 connections,
# and prints instructions a request and the functions that take most. The profile stays in
# build/bench/callgrind for callgrind_annotate and kcachegrind.
set -eu
cd "$(dirname "$0")/.."
exec python3 perf/profile.py --tool callgrind --kind "${1:-plain}" --size "${2:-1024}" \
    --requests "${3:-2000}" --client "${4:-openai}" --provider "${5:-openai}"
