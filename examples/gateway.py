"""Calls methods through the HTTP gateway: python3 gateway.py [URL]"""

import json
import sys
import urllib.error
import urllib.request

GATEWAY = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"


class CallFailed(Exception):
    """A call that failed; `problem` is the gateway's problem document (RFC 9457)."""

    def __init__(self, problem):
        super().__init__(problem["detail"])
        self.problem = problem


def call(service, method, arguments, timeout="10s"):
    """`arguments` is a list, by position, or a dict, by name."""
    request = urllib.request.Request(
        f"{GATEWAY}/call/{service}/{method}",
        data=json.dumps(arguments).encode(),
        headers={"Content-Type": "application/json", "Jackfield-Timeout": timeout},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise CallFailed(json.load(error)) from None


print(call("greeter", "greet", {"name": "Ada"}))
print("40 + 2 =", call("greeter", "add", [40, 2], timeout="500ms"))
try:
    call("calc", "div", [1, 0])
except CallFailed as failed:
    # 422 alone has the method's own error; `executed` says whether to try again.
    print("1 / 0:", failed.problem["error"])
