"""Where Alpaca is asked, with which patience, and that no key is seen."""

from __future__ import annotations

import logging
import traceback

import pytest
from pydantic import SecretStr

from resources.brokers.alpaca.connection import AlpacaAccess, AlpacaConnection, access_of, require_no_live_address
from resources.brokers.alpaca_broker import build_alpaca_broker
from tests.resources.brokers.alpaca_account import FAST, broker_of, condor, with_quotes
from tests.resources.loopback.alpaca import KEY, SECRET, AlpacaFault, LoopbackAlpaca
from trading_dag.errors import (
    BrokerAnswerError,
    BrokerError,
    BrokerUnavailableError,
    ConfigurationError,
    LiveTradingError,
)
from trading_dag.settings import Settings

PAPER = "paper-api.alpaca.markets"


def settings(**values: object) -> Settings:
    keys = {"ALPACA_API_KEY": KEY, "ALPACA_API_SECRET": SECRET}
    return Settings(_env_file=None, **(keys | values))


@pytest.fixture
def account():
    with LoopbackAlpaca() as server:
        yield with_quotes(server)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets",
        "http://paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets@api.alpaca.markets",
        "https://paper-api.alpaca.markets.example.com",
        "https://user:word@paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets/../../api",
        "https://paper-api.alpaca.markets:8443",
        "https://broker-api.alpaca.markets",
        "https://api.alpaca.markets?x=paper-api.alpaca.markets",
        "http://127.0.0.1@api.alpaca.markets",
        "https://10.0.0.1",
        "ftp://127.0.0.1",
        "https://paper-api.alpaca.markets:x",
        "",
    ],
)
def test_every_address_but_the_paper_api_and_this_machine_is_refused(url):
    with pytest.raises(LiveTradingError):
        require_no_live_address(url, host=PAPER)
    with pytest.raises(LiveTradingError):
        access_of(settings(alpaca_url=url or "x"))
    with pytest.raises(LiveTradingError):
        AlpacaConnection(AlpacaAccess(SecretStr(KEY), SecretStr(SECRET), url, "https://data.alpaca.markets", FAST))


@pytest.mark.parametrize(
    "url", [f"https://{PAPER}", f"https://{PAPER}/", "http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:9"]
)
def test_the_paper_api_and_this_machine_are_spoken_to(url):
    require_no_live_address(url, host=PAPER)


def test_the_library_itself_names_the_address_that_is_let_through():
    from alpaca.common.enums import BaseURL

    assert BaseURL.TRADING_PAPER.value == f"https://{PAPER}" == Settings(_env_file=None).alpaca_url
    assert BaseURL.DATA.value == Settings(_env_file=None).alpaca_data_url
    with pytest.raises(LiveTradingError):
        require_no_live_address(BaseURL.TRADING_LIVE.value, host=PAPER)


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"ALPACA_API_KEY": None}, "ALPACA_API_KEY"),
        ({"ALPACA_API_SECRET": None}, "ALPACA_API_SECRET"),
        ({"ALPACA_API_KEY": None, "ALPACA_API_SECRET": None}, "ALPACA_API_KEY and ALPACA_API_SECRET"),
    ],
)
def test_a_missing_key_is_named(keys, named):
    with pytest.raises(ConfigurationError, match=named):
        build_alpaca_broker(settings(**keys))


def test_a_missing_library_is_told_with_what_adds_it(monkeypatch):
    monkeypatch.setattr("resources.brokers.alpaca.library.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'trading-dag\[alpaca\]'"):
        build_alpaca_broker(settings())


@pytest.mark.parametrize(
    "fault",
    [AlpacaFault(status=500, body=b'{"message": "oops"}'), AlpacaFault(status=429), AlpacaFault(cuts_before=True),
     AlpacaFault(delay_seconds=2.0), AlpacaFault(status=504)],
)  # fmt: skip
def test_what_only_reads_is_asked_again(account, fault):
    account.inject("GET", "/v2/account", fault, times=2)
    assert broker_of(account).account().cash_usd == 100_000.0
    assert len(account.asked("GET", "/v2/account")) == 3


def test_after_the_last_attempt_nobody_knows(account):
    account.inject("GET", "/v2/account", AlpacaFault(status=503, body=b"<html>"), times=9)
    with pytest.raises(BrokerUnavailableError, match="status 503: <html>"):
        broker_of(account).account()
    assert len(account.asked("GET", "/v2/account")) == 3


def test_the_wait_that_the_server_asks_for_is_kept(account):
    waits: list[float] = []
    http = FAST.model_copy(update={"backoff_maximum_seconds": 60.0})
    access = AlpacaAccess(SecretStr(KEY), SecretStr(SECRET), account.url, account.url, http)
    account.inject("GET", "/v2/account", AlpacaFault(status=429, headers=(("Retry-After", "7"),)))
    connection = AlpacaConnection(access, sleep=waits.append)
    connection.read("account", connection.trading.get_account)
    assert waits == [7.0]


@pytest.mark.parametrize("body", [b"{", b"<html>no</html>", b"\xff"])
def test_an_answer_that_is_no_json_is_an_error(account, body):
    account.inject("GET", "/v2/account", AlpacaFault(status=200, body=body))
    with pytest.raises(BrokerAnswerError, match="no JSON"):
        broker_of(account).account()


@pytest.mark.parametrize("body", [b"[]", b'"ACTIVE"', b"7"])
def test_an_answer_of_another_shape_is_an_error(account, body):
    account.inject("GET", "/v2/account", AlpacaFault(status=200, body=body))
    with pytest.raises(BrokerAnswerError, match="an object is expected"):
        broker_of(account).account()


def test_a_redirect_is_not_followed(account):
    fault = AlpacaFault(status=302, body=b"moved", headers=(("Location", f"{account.url}/v2/clock"),))
    account.inject("GET", "/v2/account", fault)
    with pytest.raises(BrokerAnswerError):
        broker_of(account).account()
    assert account.asked("GET", "/v2/clock") == []


def test_an_account_that_may_not_trade_is_an_error(account):
    body = b'{"status": "ACCOUNT_UPDATED", "trading_blocked": true, "cash": "1", "equity": "1"}'
    account.inject("GET", "/v2/account", AlpacaFault(status=200, body=body))
    with pytest.raises(BrokerError, match="may not trade: status 'ACCOUNT_UPDATED', trading_blocked"):
        broker_of(account).account()


@pytest.mark.parametrize(
    ("status", "body"), [(401, b'{"message": "unauthorized."}'), (403, b'{"message": "forbidden."}')]
)
def test_keys_that_are_not_accepted_are_named_and_not_asked_again(account, status, body):
    account.inject("GET", "/v2/account", AlpacaFault(status=status, body=body))
    with pytest.raises(BrokerError, match=f"not accepted \\({status}\\); set ALPACA_API_KEY and ALPACA_API_SECRET"):
        broker_of(account).account()
    assert len(account.asked("GET", "/v2/account")) == 1


def test_the_account_itself_tells_wrong_keys(account):
    with pytest.raises(BrokerError, match="not accepted"):
        broker_of(account, secret="another").submit(condor())
    assert account.asked("POST", "/v2/orders") == []


def test_no_key_is_seen_in_texts_errors_or_logs(account, caplog):
    caplog.set_level(logging.DEBUG)
    shown = [repr(settings()), str(settings().model_dump()), repr(settings().alpaca_api_key)]
    broker = broker_of(account)
    shown += [repr(broker), repr(broker._connection), repr(broker._connection._access)]
    echo = f'{{"code": 40010001, "message": "{KEY} and {SECRET} said"}}'.encode()
    account.inject("POST", "/v2/orders", AlpacaFault(status=422, body=echo))
    shown.append(broker.submit(condor()).reason)
    for status in (401, 404, 500):
        account.inject("GET", "/v2/positions", AlpacaFault(status=status, body=echo), times=3)
        with pytest.raises(BrokerError) as raised:
            broker.contracts()
        # Chained errors would carry the request with its headers.
        shown += ["".join(traceback.format_exception(raised.value)), str(raised.value.__context__ is not None)]
        account._faults.clear()
    shown.append(caplog.text)
    assert "*** and *** said" in " ".join(shown)
    for key in (KEY, SECRET):
        assert not [text for text in shown if key in text]
    sent = account.asked("GET", "/v2/positions")[0].headers
    assert (sent["APCA-API-KEY-ID"], sent["APCA-API-SECRET-KEY"]) == (KEY, SECRET)


def test_what_the_library_keeps_in_private_is_where_it_is_bounded(account):
    trading = broker_of(account)._connection.trading
    assert trading._retry == 0
    assert {type(adapter).__name__ for adapter in trading._session.adapters.values()} == {"TimeLimitedAdapter"}
    assert trading._session.trust_env is False
    assert trading._base_url == account.url
