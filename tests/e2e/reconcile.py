"""The provider's bill against the ledger: the only check that finds a request that was sent twice.

Every request that reached the provider in whole is one record of the ledger and the other way round.
Where the record is `settled`, its tokens are the provider's own; else they are not less.
"""

from waiting import Timeout, wait_until


def settled_records(gateway):
    """Of the requests: what is billed when it is through is none."""
    return [record for record in gateway.ledger()
            if record["state"] != "void" and not {"batch", "background"} & set(record.get("flags", []))]


def tokens(record):
    read, written = record.get("cached_tokens", 0), record.get("cache_write_tokens", 0)
    return record["input_tokens"] + read + written, record["output_tokens"]


def bill_tokens(entry):
    if not entry["billed"]:
        return 0, 0
    return entry["prompt_tokens"], entry["completion_tokens"]


def differences(bill, ledger):
    """What doesn't agree, as lines; none when all is well."""
    lines = []
    if len(bill) != len(ledger):
        lines.append(f"the provider received {len(bill)} requests, the ledger holds {len(ledger)} attempts")
    by_id = {}
    for record in ledger:
        upstream = record.get("upstream_request_id")
        if upstream:
            if upstream in by_id:
                lines.append(f"{upstream} is in the ledger twice")
            by_id[upstream] = record
    for entry in bill:
        record = by_id.pop(entry["id"], None)
        if record is None:
            continue
        billed, charged = bill_tokens(entry), tokens(record)
        if record["state"] == "settled" and billed != charged:
            lines.append(f"{entry['id']}: billed {billed}, settled at {charged}")
        units = entry.get("units", 0) if entry["billed"] else 0
        if record["state"] == "settled" and units != record["units"]:
            lines.append(f"{entry['id']}: billed {units} units, settled at {record['units']}")
        if record["state"] == "estimated" and units > record["units"]:
            lines.append(f"{entry['id']}: billed {units} units, estimated at {record['units']}")
        if record["state"] == "estimated" and entry["billed"] and charged[1] < 1 <= billed[1]:
            lines.append(f"{entry['id']}: billed {billed}, estimated at {charged}")
    lines += [f"{upstream} is in the ledger and not on the bill" for upstream in by_id]
    return lines


def reconcile(gateways, mocks):
    """Waits until bill and ledger agree; fails with what doesn't."""
    state = {}

    def agrees():
        bill = [entry for mock in mocks for entry in mock.bill() if entry["outcome"] != "refused"]
        state.update(bill=bill, ledger=[record for gateway in gateways for record in settled_records(gateway)])
        state["differences"] = differences(bill, state["ledger"])
        return not state["differences"]
    try:
        wait_until(agrees, "bill and ledger to agree", deadline=5, interval=0.05)
    except Timeout:
        lines = [*state["differences"], "", "bill:", *map(str, state["bill"]), "ledger:", *map(str, state["ledger"])]
        raise AssertionError("\n".join(lines)) from None
