"""Profiles one gatewayd worker: the work behind callgrind.sh and perf.sh."""

import argparse
import glob
import json
import os
import re
import subprocess
import sys
import time

import corpus
import dialects
import targets


class Gatewayd(targets.Gatewayd):
    """With one worker, and under valgrind where `wrapper` says so."""

    wrapper = ()

    def run(self, argv, env=None, **kwargs):
        super().run(list(self.wrapper) + argv, env, **kwargs)

    def worker(self):
        for pid in self.pids():
            with open(f"/proc/{pid}/cmdline", encoding="latin-1") as f:
                if re.search(r"worker", f.read()):
                    return pid
        sys.exit("no worker among the processes of gatewayd")


def load(env, target, args, extra):
    body = os.path.join(env.dir, "body-profile.json")
    stream = args.kind.startswith("sse")
    with open(body, "wb") as f:
        f.write(corpus.chat(args.size, target.model(args.kind, args.provider), stream, args.client))
    argv = [env.program("loadgen"), "--url", target.url(args.kind, args.client), "--body", body,
            "--connections", "8"] + extra
    for header in target.headers(args.client):
        argv += ["--header", header]
    if args.kind.endswith("tls"):
        argv += ["--ca", os.path.join(env.certs, "ca.pem")]
    if stream:
        argv += ["--end", dialects.DIALECTS[args.client].end]
    return subprocess.Popen(argv, stdout=subprocess.PIPE)


def finish(process):
    out = json.loads(process.communicate()[0])
    if out["errors"]:
        print(f"wrong answers, the profile shows them too: {out['errors_by']}", file=sys.stderr)
    return out


def instrument(pid, state):
    subprocess.run(["callgrind_control", "-i", state, str(pid)], check=True,
                   stdout=subprocess.DEVNULL)


def callgrind(env, target, args):
    folder = os.path.join(env.dir, "callgrind")
    os.makedirs(folder, exist_ok=True)
    for old in glob.glob(os.path.join(folder, "out.*")):
        os.unlink(old)
    target.wrapper = ("valgrind", "--tool=callgrind", "--trace-children=yes", "-q",
                      "--instr-atstart=no", f"--callgrind-out-file={folder}/out.%p")
    target.start()
    env.targets.append(target)
    # A first load warms connections and caches; only the second is counted.
    finish(load(env, target, args, ["--requests", "200"]))
    worker = target.worker()
    instrument(worker, "on")
    out = finish(load(env, target, args, ["--requests", str(args.requests)]))
    instrument(worker, "off")
    target.stop()  # the profile is written at the end of the process
    text = subprocess.run(["callgrind_annotate", "--threshold=90", "--auto=no",
                           f"{folder}/out.{worker}"],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    print(text)
    total = re.search(r"([\d,]+)(?: \(100\.0%\))?\s+PROGRAM TOTALS", text)
    if total:
        print(f"{int(total[1].replace(',', '')) / args.requests:.0f} instructions a request "
              f"({args.kind}, {args.size} bytes, {out['requests']} requests, "
              f"{args.client} to {args.provider})")


def perf(env, target, args):
    data = os.path.join(env.dir, "perf.data")
    target.start()
    env.targets.append(target)
    running = load(env, target, args, ["--seconds", str(args.seconds + 1), "--warmup", "0.5"])
    time.sleep(0.5)  # the load generator's warm-up
    subprocess.run(["perf", "record", "-q", "-g", "-o", data, "-p", str(target.worker()), "--",
                    "sleep", str(args.seconds)], check=True)
    finish(running)
    subprocess.run(["perf", "report", "-i", data, "--stdio", "--no-children", "-g", "none",
                    "--percent-limit", "0.7"], check=True, stderr=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool", choices=("callgrind", "perf"), required=True)
    parser.add_argument("--kind", choices=("plain", "tls", "sse", "sse-tls"), default="plain")
    parser.add_argument("--client", choices=tuple(dialects.DIALECTS), default="openai",
                        help="the caller's dialect")
    parser.add_argument("--provider", choices=tuple(dialects.DIALECTS), default="openai",
                        help="the provider's; where it is another, requests are translated")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    os.environ["BENCH_TARGETS"] = "none"
    os.environ["BENCH_WORKERS"] = "1"
    with targets.Environment(args.build) as env:
        target = Gatewayd(env)
        if not target.available():
            sys.exit("build/gatewayd is missing: run make first")
        {"callgrind": callgrind, "perf": perf}[args.tool](env, target, args)


if __name__ == "__main__":
    main()
