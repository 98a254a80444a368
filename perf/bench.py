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
import urllib.request

import corpus
import dialects
import report
import targets


@dataclasses.dataclass
class Goal:
    """That a line of a case takes at most so many times the CPU of another."""

    line: str
    base: str
    most: float
    figure: str = "cpu_us_per_request"


@dataclasses.dataclass
class Case:
    name: str
    kind: str  # plain, tls, sse, sse-tls
    size: int
    connections: int
    rate: int = 0  # 0: closed loop
    quick: bool = False  # part of the quick run
    caller: str = "openai"
    provider: str = ""  # of another dialect than the caller's: only who translates can reach it
    goals: tuple = ()


@dataclasses.dataclass
class Line:
    """One line of a case: a target, and the dialect of the provider that it is to ask."""

    name: str
    target: targets.Target
    provider: str


def translation_cases():
    """The caller's own dialect through nginx and gatewayd, and translated to another provider's."""
    k = 1024
    own = Goal("translated", "gatewayd", 1.3)
    event = Goal("translated", "gatewayd", 2.0, "cpu_us_per_event")
    proxy = Goal("translated", "nginx", 3.0)
    cases = []
    for caller, provider in (("openai", "anthropic"), ("anthropic", "openai")):
        both = {"caller": caller, "provider": provider}
        cases += [
            Case(f"to-{provider}-1k", "plain", k, 64, quick=True, goals=(own,), **both),
            Case(f"to-{provider}-sse", "sse", k, 64, quick=True, goals=(event,), **both),
            Case(f"to-{provider}-1m", "plain", k * k, 16, quick=True, goals=(proxy,), **both),
        ]
    return cases


def all_cases():
    k = 1024
    cases = [
        Case("chat-1k-64", "plain", k, 64, quick=True, goals=(Goal("gatewayd", "nginx", 1.5),)),
        Case("chat-1k-1", "plain", k, 1, quick=True),
        Case("chat-1k-1024", "plain", k, 1024),
        Case("chat-10k-64", "plain", 10 * k, 64),
        Case("chat-100k-64", "plain", 100 * k, 64, quick=True,
             goals=(Goal("gatewayd", "nginx", 2.0),)),
        Case("chat-1m-16", "plain", 1024 * k, 16),
        Case("tls-1k-64", "tls", k, 64, quick=True),
        Case("tls-1k-1024", "tls", k, 1024),
        Case("tls-100k-64", "tls", 100 * k, 64),
        Case("sse-64", "sse", k, 64, quick=True,
             goals=(Goal("gatewayd", "nginx", 1.5, "cpu_us_per_event"),)),
        Case("sse-1024", "sse", k, 1024),
        Case("sse-tls-64", "sse-tls", k, 64),
    ]
    cases += translation_cases()
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

    def lines(self, case):
        able = [t for t in self.env.targets if case.kind in t.kinds()]
        if not case.provider:
            return [Line(t.name, t, case.caller) for t in able]
        known = [t for t in able if t.translates() or t.name in ("direct", "nginx")]
        return ([Line(t.name, t, case.caller) for t in known]
                + [Line("translated", t, case.provider) for t in known if t.translates()])

    def body(self, line, case):
        return corpus.chat(case.size, line.target.model(case.kind, line.provider),
                           case.kind.startswith("sse"), case.caller)

    def body_file(self, line, case):
        path = os.path.join(self.env.dir, f"body-{line.name}-{case.name}.json")
        with open(path, "wb") as f:
            f.write(self.body(line, case))
        return path

    def ask(self, line, case):
        """One request's answer: its text and the number of its events."""
        headers = dict(h.split(": ", 1) for h in line.target.headers(case.caller))
        request = urllib.request.Request(
            line.target.url(case.kind, case.caller), data=self.body(line, case),
            headers=headers | {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dialects.read_answer(case.caller, answer.read(), case.kind.startswith("sse"))

    def events(self, line, case):
        """Events of a right answer. A translated one must hold the text that the caller's own
        dialect brings; that its events are others is no fault."""
        if not case.provider:
            return targets.SSE_EVENTS
        text, events = self.ask(line, case)
        own, _ = self.ask(Line(line.name, line.target, case.caller), case)
        if text != own or not text:
            raise ValueError(f"{case.name}, {line.name}: the answer's text is {text!r}, not {own!r}")
        return events

    def load(self, line, case, rate=None, events=targets.SSE_EVENTS):
        target = line.target
        argv = [self.env.program("loadgen"), "--url", target.url(case.kind, case.caller),
                "--body", self.body_file(line, case), "--connections", str(case.connections),
                "--seconds", str(self.seconds), "--warmup", str(self.warmup),
                "--pids", ",".join(map(str, target.pids()))]
        for header in target.headers(case.caller):
            argv += ["--header", header]
        if case.kind.endswith("tls"):
            argv += ["--ca", os.path.join(self.env.certs, "ca.pem")]
        if case.kind.startswith("sse"):
            # A gateway may ask the provider for usage and keep the answer to itself.
            argv += ["--end", dialects.DIALECTS[case.caller].end, "--events", str(events)]
        if rate or case.rate:
            argv += ["--rate", str(rate or case.rate)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
        if done.returncode not in (0, 1):
            return {"errors": 1, "requests": 0}
        result = json.loads(done.stdout)
        result["pss_kib"] = targets.pss_kib(target.pids())
        return result

    def run_case(self, case):
        """Rounds with the lines in turn, each time beginning with another one."""
        lines, events, wrong = [], {}, {}
        for line in self.lines(case):
            try:
                events[line.name] = self.events(line, case)
                lines.append(line)
            except (OSError, ValueError) as e:
                wrong[line.name] = {"errors": 1, "errors_by": {str(e): 1}}
        results = {line.name: [] for line in lines}
        for n in range(self.rounds):
            for line in lines[n % len(lines):] + lines[:n % len(lines)]:
                results[line.name].append(self.load(line, case, events=events[line.name]))
        return {name: summarise(runs, case) for name, runs in results.items()} | wrong

    def highest_rate(self, target, case):
        """The highest of some rates at which 99 % are served in time and p99 is below 100 ms."""
        held = 0
        for rate in (1000, 2000, 5000, 10000, 15000, 20000, 30000, 40000, 60000):
            r = self.load(Line(target.name, target, case.caller), case, rate)
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
    out["cpu_us_per_request_by_round"] = [r["cpu_us_per_request"] for r in good]
    if case.kind.startswith("sse"):
        by_round = [r["cpu_us_per_request"] * r["requests"] / max(r["events"], 1) for r in good]
        out["cpu_us_per_event"] = statistics.median(by_round)
        out["cpu_us_per_event_by_round"] = by_round
    return out


def ratio(a, b, figure="cpu_us_per_request"):
    """The median of the ratios of each round; None where there is none."""
    key = figure + "_by_round"
    pairs = zip(a.get(key, ()), b.get(key, ()))
    ratios = [x / y for x, y in pairs if y > 0]
    return statistics.median(ratios) if ratios else None


def verdicts(case, results):
    out = []
    for g in case.goals:
        got = ratio(results.get(g.line, {}), results.get(g.base, {}), g.figure)
        if got is not None:
            out.append(dataclasses.asdict(g) | {"case": case.name, "ratio": got,
                                                "met": got <= g.most})
    return out


def add_ratios(results):
    """Against nginx and against direct: of CPU the median of the ratios of each round."""
    base, direct = results.get("nginx"), results.get("direct")
    for r in results.values():
        if base and ratio(r, base) is not None:
            r["cpu_ratio"] = ratio(r, base)
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
    out = {"machine": machine(), "seconds": seconds, "rounds": rounds, "cases": {}, "held": {},
           "goals": []}
    with targets.Environment(args.build) as env:
        bench = Bench(env, seconds, rounds)
        out["targets"] = {t.name: {"idle_pss_kib": t.idle_pss_kib, "start_ms": t.start_ms}
                          for t in env.targets}
        report.print_header(out)
        cases = choose_cases(quick)
        for case in cases:
            out["cases"][case.name] = add_ratios(bench.run_case(case))
            report.print_case(case.name, out["cases"][case.name])
            out["goals"] += verdicts(case, out["cases"][case.name])
        opened = [c for c in cases if c.rate]
        if opened and not quick:
            out["held"] = {t.name: bench.highest_rate(t, opened[0]) for t in env.targets}
            report.print_held(out["held"])
        report.print_goals(out["goals"])
        report.write(out, env.dir)
    wrong = sum(r["errors"] for case in out["cases"].values() for r in case.values())
    if wrong:
        print(f"\n{wrong} wrong answers: the figures of those lines are worth nothing.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
