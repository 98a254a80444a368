#!/usr/bin/env python3
"""make bench: the same load on nginx, gatewayd and what else is installed, in turn, in one run.

Environment: BENCH_QUICK=1 (about a minute and a half instead of ten), BENCH_CASES=a,b (names or
beginnings of names), BENCH_TARGETS=nginx,gatewayd, BENCH_ROUNDS=N, BENCH_SECONDS=S, BENCH_WORKERS=N.
perf/README.md says what the figures mean.
"""

import argparse
import dataclasses
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time

import corpus
import report
import targets


@dataclasses.dataclass
class Case:
    name: str
    kind: str  # plain, tls, sse, sse-tls
    size: int
    connections: int
    rate: int = 0  # 0: closed loop
    quick: bool = False  # part of the quick run


def all_cases():
    k = 1024
    cases = [
        Case("chat-1k-64", "plain", k, 64, quick=True),
        Case("chat-1k-1", "plain", k, 1, quick=True),
        Case("chat-1k-1024", "plain", k, 1024),
        Case("chat-10k-64", "plain", 10 * k, 64),
        Case("chat-100k-64", "plain", 100 * k, 64, quick=True),
        Case("chat-1m-16", "plain", 1024 * k, 16),
        Case("tls-1k-64", "tls", k, 64, quick=True),
        Case("tls-1k-1024", "tls", k, 1024),
        Case("tls-100k-64", "tls", 100 * k, 64),
        Case("sse-64", "sse", k, 64, quick=True),
        Case("sse-1024", "sse", k, 1024),
        Case("sse-tls-64", "sse-tls", k, 64),
    ]
    cases += [Case(f"open-{rate}", "plain", k, 256, rate, quick=rate in (1000, 5000))
              for rate in (500, 1000, 5000, 10000)]
    return cases


def choose_cases(quick):
    wanted = os.environ.get("BENCH_CASES")
    if wanted:
        names = wanted.split(",")
        return [c for c in all_cases() if any(c.name.startswith(n) for n in names)]
    return [c for c in all_cases() if c.quick or not quick]


class Bench:
    def __init__(self, env, seconds, rounds):
        self.env = env
        self.seconds = seconds
        self.rounds = rounds
        self.warmup = min(1.0, seconds / 4)

    def body_file(self, target, case):
        stream = case.kind.startswith("sse")
        path = os.path.join(self.env.dir, f"body-{target.name}-{case.name}.json")
        with open(path, "wb") as f:
            f.write(corpus.chat(case.size, target.model(case.kind), stream))
        return path

    def load(self, target, case, rate=None):
        argv = [self.env.program("loadgen"), "--url", target.url(case.kind),
                "--body", self.body_file(target, case), "--connections", str(case.connections),
                "--seconds", str(self.seconds), "--warmup", str(self.warmup),
                "--pids", ",".join(map(str, target.pids()))]
        for header in target.headers:
            argv += ["--header", header]
        if case.kind.endswith("tls"):
            argv += ["--ca", os.path.join(self.env.certs, "ca.pem")]
        if case.kind.startswith("sse"):
            # A gateway may ask the provider for usage and keep the answer to itself.
            argv += ["--stream", "--events", str(targets.SSE_EVENTS)]
        if rate or case.rate:
            argv += ["--rate", str(rate or case.rate)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
        if done.returncode not in (0, 1):
            return {"errors": 1, "requests": 0}
        result = json.loads(done.stdout)
        result["pss_kib"] = targets.pss_kib(target.pids())
        return result

    def run_case(self, case):
        """Rounds with the targets in turn, each time beginning with another one."""
        able = [t for t in self.env.targets if case.kind in t.kinds()]
        results = {t.name: [] for t in able}
        for n in range(self.rounds):
            for t in able[n % len(able):] + able[:n % len(able)]:
                results[t.name].append(self.load(t, case))
        return {name: summarise(runs, case) for name, runs in results.items()}

    def highest_rate(self, target, case):
        """The highest of some rates at which 99 % are served in time and p99 is below 100 ms."""
        held = 0
        for rate in (1000, 2000, 5000, 10000, 15000, 20000, 30000, 40000, 60000):
            r = self.load(target, case, rate)
            if r["errors"] or r["rate"] < 0.99 * rate or r["latency_us"]["p99"] > 100000:
                break
            held = rate
        return held


def summarise(runs, case):
    """Medians over the rounds; latencies of rounds without an answer don't exist."""
    good = [r for r in runs if r["requests"] > 0]
    out = {"errors": sum(r["errors"] for r in runs), "rounds": len(good), "errors_by": {}}
    for r in runs:
        for kind, n in r.get("errors_by", {}).items():
            if n:
                out["errors_by"][kind] = out["errors_by"].get(kind, 0) + n
    if not good:
        return out
    for key in ("rate", "cpu_us_per_request", "pss_kib", "unserved"):
        out[key] = statistics.median(r[key] for r in good)
    for key in ("latency_us", "first_byte_us"):
        out[key] = {p: statistics.median(r[key][p] for r in good) for p in good[0][key]}
    out["cpu_by_round"] = [r["cpu_us_per_request"] for r in good]
    if case.kind.startswith("sse"):
        events = statistics.median(r["events"] / r["requests"] for r in good)
        out["cpu_us_per_event"] = out["cpu_us_per_request"] / max(events, 1)
    return out


def add_ratios(results):
    """Against nginx and against direct: of CPU the median of the ratios of each round."""
    base, direct = results.get("nginx"), results.get("direct")
    for r in results.values():
        if base and r.get("cpu_by_round") and base.get("cpu_by_round"):
            r["cpu_ratio"] = statistics.median(
                a / b for a, b in zip(r["cpu_by_round"], base["cpu_by_round"]) if b > 0)
        if direct and "latency_us" in r and "latency_us" in direct:
            r["added_us"] = {p: r["latency_us"][p] - direct["latency_us"][p]
                             for p in ("p50", "p99", "p999")}
    return results


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "load": os.getloadavg()[0], "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="folder with the programs")
    args = parser.parse_args()
    # As an exception, so that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    quick = os.environ.get("BENCH_QUICK", "0") not in ("", "0")
    seconds = float(os.environ.get("BENCH_SECONDS", 1.2 if quick else 2.5))
    rounds = int(os.environ.get("BENCH_ROUNDS", 3))
    out = {"machine": machine(), "seconds": seconds, "rounds": rounds, "cases": {}, "held": {}}
    with targets.Environment(args.build) as env:
        bench = Bench(env, seconds, rounds)
        out["targets"] = {t.name: {"idle_pss_kib": t.idle_pss_kib, "start_ms": t.start_ms}
                          for t in env.targets}
        report.print_header(out)
        cases = choose_cases(quick)
        for case in cases:
            out["cases"][case.name] = add_ratios(bench.run_case(case))
            report.print_case(case.name, out["cases"][case.name])
        opened = [c for c in cases if c.rate]
        if opened and not quick:
            out["held"] = {t.name: bench.highest_rate(t, opened[0]) for t in env.targets}
            report.print_held(out["held"])
        report.write(out, env.dir)
    wrong = sum(r["errors"] for case in out["cases"].values() for r in case.values())
    if wrong:
        print(f"\n{wrong} wrong answers: the figures of those lines are worth nothing.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
