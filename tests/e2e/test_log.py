"""The log of requests in both formats."""

import re

from waiting import wait_until


def request_lines(gateway):
    return [line for line in gateway.log_text().splitlines() if " request gatewayd[" in line]


def test_lines_for_people_and_back(make_gateway):
    gateway = make_gateway({"log": {"format": "text"}})
    answer = gateway.chat()
    request_id = answer.header("x-request-id")
    line, = wait_until(lambda: [line for line in request_lines(gateway) if request_id in line], "its line")
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z request gatewayd\[\d+\] worker/\d+: "
                    r"POST /v1/chat/completions 200 id=\S+ ", line), line
    assert " model=" in line and " total_ms=" in line and "{" not in line
    gateway.write_ini({"log": {"format": "json"}})
    gateway.reload()
    request_id = gateway.chat().header("x-request-id")
    wait_until(lambda: gateway.access_line(request_id), "a line in JSON")
