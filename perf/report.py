"""The table on the terminal, build/bench/results.json and build/bench/plot.svg."""

import html
import json
import os

COLUMNS = f"{'case':<17}{'target':<12}{'req/s':>9}{'CPU µs':>9}{'× nginx':>9}{'p50 µs':>10}" \
          f"{'p99 µs':>10}{'p99.9 µs':>10}{'+p50':>9}{'+p99':>9}{'PSS MiB':>9}  notes"
COLOURS = ("#777777", "#2a7f3f", "#1f5fa8", "#b5532a", "#7a4aa0", "#a08a1f", "#3a9a9a")


def print_header(out):
    m = out["machine"]
    print(f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, load {m['load']:.2f}; "
          f"{out['rounds']} rounds of {out['seconds']} s, medians")
    for name, t in out["targets"].items():
        start = f", first answer after {t['start_ms']:.0f} ms" if t["start_ms"] else ""
        print(f"  {name}: {t['idle_pss_kib'] / 1024:.1f} MiB PSS idle{start}")
    print("\n" + COLUMNS)


def _number(value, width, digits=1):
    return f"{value:>{width}.{digits}f}" if value is not None else " " * (width - 1) + "-"


def print_case(name, results):
    for target, r in results.items():
        latency, added = r.get("latency_us", {}), r.get("added_us", {})
        notes = []
        if r["errors"]:
            kinds = ", ".join(f"{kind} {n}" for kind, n in r["errors_by"].items())
            notes.append(f"{r['errors']} ERRORS ({kinds or 'load generator failed'})")
        if r.get("unserved"):
            notes.append(f"{r['unserved']:.0f} not served in time")
        if "cpu_us_per_event" in r:
            notes.append(f"{r['cpu_us_per_event']:.2f} µs CPU an event")
        pss = r["pss_kib"] / 1024 if "pss_kib" in r else None
        print(f"{name:<17}{target:<12}" + _number(r.get("rate"), 9, 0)
              + _number(r.get("cpu_us_per_request"), 9) + _number(r.get("cpu_ratio"), 9, 2)
              + _number(latency.get("p50"), 10) + _number(latency.get("p99"), 10)
              + _number(latency.get("p999"), 10) + _number(added.get("p50"), 9)
              + _number(added.get("p99"), 9) + _number(pss, 9) + "  " + ", ".join(notes),
              flush=True)
    print()


def print_held(held):
    print("highest rate held (open loop, 99 % served, p99 below 100 ms): "
          + ", ".join(f"{name} {rate}/s" for name, rate in held.items()))


def print_goals(goals):
    for g in goals:
        what = "an event" if g["figure"] == "cpu_us_per_event" else "a request"
        print(f"goal: {g['case']:<17}{g['line']} takes {g['ratio']:.2f} × the CPU of {g['base']} "
              f"{what}, at most {g['most']:.1f}: {'met' if g['met'] else 'MISSED'}")


def _text(x, y, text, size=11, anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">'
            f"{html.escape(str(text))}</text>")


def _bars(out, names, top):
    """CPU per request as a multiple of nginx's, a group of bars a case."""
    parts = [_text(20, top, "CPU per request, as a multiple of nginx", 14)]
    y = top + 16
    ratios = [r.get("cpu_ratio", 0) for c in out["cases"].values() for r in c.values()]
    scale = 520 / min(max(ratios + [1.0]), 12.0)
    for case, results in out["cases"].items():
        parts.append(_text(130, y + 12, case, anchor="end"))
        for target, r in results.items():
            ratio = r.get("cpu_ratio")
            if ratio is None or target == "direct":
                continue
            width = min(ratio, 12.0) * scale
            index = names.index(target) if target in names else len(names)
            colour = COLOURS[index % len(COLOURS)]
            parts.append(f'<rect x="140" y="{y + 2}" width="{width:.1f}" height="11" '
                         f'fill="{colour}"/>')
            parts.append(_text(146 + width, y + 12, f"{target} {ratio:.2f}"))
            y += 14
        y += 8
    return parts, y


def _lines(out, names, top):
    """p50 and p99 over direct by arrival rate."""
    points = {}
    for case, results in out["cases"].items():
        if case.startswith("open-"):
            for target, r in results.items():
                if "added_us" in r and target != "direct":
                    points.setdefault(target, []).append((int(case[5:]), r["added_us"]))
    parts = [_text(20, top, "Open loop: added latency over direct, µs (solid p50, dashed p99)", 14)]
    if not points:
        return [], top
    highest = max(max(a["p99"], 1) for p in points.values() for _, a in p)
    rates = sorted({rate for p in points.values() for rate, _ in p})
    place = {rate: 140 + i * 520 / max(len(rates) - 1, 1) for i, rate in enumerate(rates)}
    bottom = top + 220
    for rate, x in place.items():
        parts.append(_text(x, bottom + 16, f"{rate}/s", anchor="middle"))
    for share in (0, 0.5, 1):
        y = bottom - 190 * share
        parts.append(f'<line x1="140" x2="660" y1="{y}" y2="{y}" stroke="#dddddd"/>')
        parts.append(_text(130, y + 4, f"{highest * share:.0f}", anchor="end"))
    for target, line in points.items():
        colour = COLOURS[names.index(target) % len(COLOURS)]
        for key, dash in (("p50", ""), ("p99", ' stroke-dasharray="5 4"')):
            path = " ".join(f"{place[rate]:.1f},{bottom - 190 * max(a[key], 0) / highest:.1f}"
                            for rate, a in sorted(line, key=lambda p: p[0]))
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                         f'stroke-width="2"{dash}/>')
        rate, last = max(line, key=lambda p: p[0])
        parts.append(_text(place[rate] + 6, bottom - 190 * max(last["p99"], 0) / highest, target))
    return parts, bottom + 40


def write(out, folder):
    with open(os.path.join(folder, "results.json"), "w", encoding="utf-8") as f:
        json.dump(out, f, indent=1)
    names = list(out["targets"])
    bars, y = _bars(out, names, 30)
    lines, height = _lines(out, names, y + 24)
    with open(os.path.join(folder, "plot.svg"), "w", encoding="utf-8") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="820" height="{height + 10:.0f}" '
                'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>'
                + "".join(bars + lines) + "</svg>\n")
    print(f"\nwrote {os.path.join(folder, 'results.json')} and plot.svg")
