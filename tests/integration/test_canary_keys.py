"""Keys that are known, in every setting that holds one, and a little real work in which vendors fail and say the keys
back: none of them is found in anything that is written or printed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.deployment import deployed_resources
from resources.masking import secrets_of
from tests.conftest import Workspace
from tests.resources.alerts.loopback import Mailbox, Webhook, mail_server, slack_webhook
from tests.resources.loopback.server import Fault, LoopbackVendor
from trading_dag.settings import Settings

KEYS = {
    "FRED_API_KEY": "canaryfred0123456789abcdef012345",
    "FINNHUB_API_KEY": "canary-finnhub-0123456789",
    "POLYGON_API_KEY": "canary-polygon-0123456789",
    "TRADIER_TOKEN": "canary/tradier+0123456789=",
    "ALPACA_API_KEY": "canary-alpaca-key-0123456789",
    "ALPACA_API_SECRET": "canary/alpaca+secret-0123456789",
    "TRADING_DAG_DASHBOARD_PASSWORD": "canary-dashboard-0123456789",
    "TRADING_DAG_ALERTS__SMTP_PASSWORD": "canary-smtp-0123456789",
}
WORDS = ("canaryfred", "canary-", "canary/", "canary%2F", "canary0webhook", "T0CANARY", "B0CANARY")


def says_back(key: str, status: int) -> Fault:
    """An answer that repeats the key, in its body and in a header."""
    body = json.dumps({"error": f"the key {key} is not known", "error_message": key}).encode()
    return Fault(status=status, body=body, headers={"X-Key": key})


class Desk:
    """A home with keys, vendors that fail, a mail server and a webhook that refuse, and what was printed."""

    def __init__(self, home: Path, vendor: LoopbackVendor, mailbox: Mailbox, webhook: Webhook) -> None:
        self.home, self.printed = home, ""
        variables = {
            **vendor.environment(), **KEYS,
            "TRADING_DAG_POLYGON_URL": vendor.url, "TRADING_DAG_TRADIER_URL": vendor.url,
            "TRADING_DAG_ALERTS__EMAIL_TO": '["trader@example.com"]',
            "TRADING_DAG_ALERTS__SMTP_HOST": "127.0.0.1", "TRADING_DAG_ALERTS__SMTP_PORT": str(mailbox.port),
            "TRADING_DAG_ALERTS__SMTP_SECURITY": "none", "TRADING_DAG_ALERTS__SMTP_USER": "trader",
            "TRADING_DAG_ALERTS__SLACK_WEBHOOK": webhook.url,
        }  # fmt: skip
        self.variables = variables

    def run(self, *arguments: str, **further: str) -> int:
        done = Workspace(self.home, tuple({**self.variables, **further}.items())).run(*arguments)
        self.printed += done.stdout + done.stderr
        return done.returncode


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("canary")
    with LoopbackVendor(sessions=40) as vendor, mail_server() as mailbox, slack_webhook() as webhook:
        webhook.statuses = [500] * 10
        for path, name, status in (
            ("/fred/", "FRED_API_KEY", 400), ("/api/v1/", "FINNHUB_API_KEY", 401), ("/v3/", "POLYGON_API_KEY", 403),
            ("/v1/markets", "TRADIER_TOKEN", 401),
        ):  # fmt: skip
            vendor.inject(path, says_back(KEYS[name], status), times=None)
        desk = Desk(home, vendor, mailbox, webhook)
        assert desk.run("alerts", "send") == 1  # both channels fail; what failed later is told from here on
        assert desk.run("fetch", "--tickers", "SPY", "-vv") == 1
        desk.run("fetch-chains", "--tickers", "SPY", TRADING_DAG_CHAIN_VENDOR="polygon")
        desk.run("fetch-chains", "--tickers", "SPY", TRADING_DAG_CHAIN_VENDOR="tradier")
        desk.run("alerts", "send", "-vv")
        desk.run("alerts", "status", "--json")
        desk.run("alerts", "test")
        desk.run("doctor", "--json")
        desk.run("sql", "from meta.slices", "--json")
        yield desk


@pytest.mark.long
def test_no_key_is_printed(desk: Desk) -> None:
    assert "is not known" in desk.printed  # the vendors' answers were told
    assert [word for word in WORDS if word in desk.printed] == []


@pytest.mark.long
def test_no_key_is_in_any_file_of_the_home(desk: Desk) -> None:
    files = [path for path in desk.home.rglob("*") if path.is_file()]
    found = {
        str(path.relative_to(desk.home)): word
        for path in files
        for content in [path.read_bytes()]
        for word in WORDS
        if word.encode() in content or word.encode("utf-16-le") in content
    }

    assert len(files) > 20  # slices, the event log, caches, the book of alerts
    assert any(path.name == "alerts.json" for path in files)
    assert found == {}


@pytest.mark.long
def test_no_key_is_in_the_text_of_settings_resources_or_a_refusal_of_them(desk: Desk) -> None:
    settings = Settings(
        _env_file=None, home=desk.home, alerts={"slack_webhook": desk.variables["TRADING_DAG_ALERTS__SLACK_WEBHOOK"]},
        **{name: value for name, value in KEYS.items() if not name.startswith("TRADING_DAG_")},
    )  # fmt: skip
    shown = {
        name: getattr(resource, "_config_schema", None) or resource
        for name, resource in deployed_resources(settings).items()
    }

    told = f"{settings!r} {settings} {settings.model_dump_json()} {shown!r} {desk!r}"

    assert len(secrets_of(settings)) == 7
    assert [word for word in WORDS if word in told] == []


@pytest.mark.long
def test_a_key_in_the_wrong_setting_is_not_repeated_by_the_complaint(desk: Desk) -> None:
    wrong = {"TRADING_DAG_WORKERS": "canary-0123", "TRADING_DAG_ALERTS__SLACK_WEBHOOK": "https://canary-0123.example/x"}
    environment = {**Workspace(desk.home).environment, **wrong}
    done = subprocess.run(
        [sys.executable, "-c", "import trading_dag.definitions"], env=environment, cwd=desk.home, capture_output=True,
        text=True, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "canary" not in done.stderr
