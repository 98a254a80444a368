#!/bin/sh
# perf record of one worker under load.
#
#   perf/perf.sh [plain|tls|sse|sse-tls] [bytes] [seconds]
#
# Prints the functions that take most; the profile stays in build/bench/perf.data.
set -eu
cd "$(dirname "$0")/.."
exec python3 perf/profile.py --tool perf --kind "${1:-plain}" --size "${2:-1024}" \
    --seconds "${3:-5}"
