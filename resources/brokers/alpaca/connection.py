"""The connection to Alpaca by way of alpaca-py: to its paper API or to this machine and nowhere else, within a time.

Addresses, keys, patience and what a failed request means belong here. What is asked, and what the answers mean, is in
the modules beside it.

alpaca-py sends a request again by itself and waits for an answer for ever. Both are switched off here, by what it keeps
in private: an order must not be sent twice unseen, and a command must end. The tests notice when a version changes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from time import sleep as sleep_seconds
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import tenacity
from pydantic import SecretStr

from resources.brokers.alpaca.library import require_alpaca
from resources.http.client import retry_after_seconds
from resources.http.message import HttpAnswer
from trading_dag.errors import (
    BrokerAnswerError,
    BrokerError,
    BrokerUnavailableError,
    ConfigurationError,
    LiveTradingError,
)
from trading_dag.setting_groups import HttpSettings
from trading_dag.settings import Settings

if TYPE_CHECKING:
    from alpaca.common.rest import RESTClient
    from alpaca.data.historical.option import OptionHistoricalDataClient
    from alpaca.trading.client import TradingClient

BROKER: Final = "alpaca"
PAPER_HOST: Final = "paper-api.alpaca.markets"
DATA_HOST: Final = "data.alpaca.markets"
LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "::1")
KEY_VARIABLE: Final = "ALPACA_API_KEY"
SECRET_VARIABLE: Final = "ALPACA_API_SECRET"  # noqa: S105 - the name of a variable
MASK: Final = "***"
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_ACTED_UPON: Final = frozenset({408, 425, 429})
_FIRST_SERVER_ERROR: Final = 500
_LONGEST_SHOWN: Final = 300


@dataclass(frozen=True)
class Refusal:
    """Holds how Alpaca refused a request: the status, its own code (None without one), and its words."""

    status: int
    code: int | None
    message: str


@dataclass(frozen=True)
class _Unanswered:
    """Tells why there is no answer, and how long the server asked to be left alone."""

    problem: str
    seconds_to_wait: float = 0.0


@dataclass(frozen=True)
class AlpacaAccess:
    """Says where Alpaca is asked, and with which keys, which appear in no text.

    Attributes
    ----------
    url, data_url : of the trading API and of the quotes, without a version.
    http : time limit and patience.
    """

    key: SecretStr
    secret: SecretStr
    url: str
    data_url: str
    http: HttpSettings


def access_of(settings: Settings) -> AlpacaAccess:
    """Return the access that the settings give.

    Raises
    ------
    ConfigurationError : where alpaca-py or a key is missing; says what adds it.
    LiveTradingError : for any address but the paper API's and this machine's.
    """
    require_alpaca()
    key, secret = settings.alpaca_api_key, settings.alpaca_api_secret
    missing = [name for name, value in ((KEY_VARIABLE, key), (SECRET_VARIABLE, secret)) if value is None]
    if key is None or secret is None:
        raise ConfigurationError(f"the broker alpaca needs {' and '.join(missing)}, the keys of a paper account")
    require_no_live_address(settings.alpaca_url, host=PAPER_HOST)
    require_no_live_address(settings.alpaca_data_url, host=DATA_HOST)
    return AlpacaAccess(key, secret, settings.alpaca_url, settings.alpaca_data_url, settings.http)


def require_no_live_address(url: str, *, host: str) -> None:
    """Refuse every address but ``https://host`` and those of this machine, whatever the settings say.

    Raises
    ------
    LiveTradingError : naming the address.
    """
    try:
        parts = urlsplit(url)
        # A name before @ is where another address hides; a path would move the API.
        is_plain = parts.username is None and parts.password is None and parts.path in ("", "/")
        is_bare = is_plain and not parts.query and not parts.fragment
        is_paper = parts.scheme == "https" and parts.hostname == host and parts.port in (None, 443)
        is_here = parts.scheme in ("http", "https") and parts.hostname in LOOPBACK_HOSTS
    except ValueError:
        is_bare = is_paper = is_here = False
    if not is_bare or not (is_paper or is_here):
        raise LiveTradingError(f"alpaca is asked at https://{host} only, which holds no real money, not at {url!r}")


class AlpacaConnection:
    """Asks Alpaca.

    Parameters
    ----------
    access : where, and with which keys.
    sleep : how to wait, in seconds.
    """

    def __init__(self, access: AlpacaAccess, *, sleep: Callable[[float], None] = sleep_seconds) -> None:
        require_no_live_address(access.url, host=PAPER_HOST)
        require_no_live_address(access.data_url, host=DATA_HOST)
        require_alpaca()
        self._access = access
        self._sleep = sleep
        self._trading: TradingClient | None = None
        self._quotes: OptionHistoricalDataClient | None = None

    def __repr__(self) -> str:
        return f"AlpacaConnection({self._access.url!r})"

    @property
    def trading(self) -> TradingClient:
        """Return alpaca-py's client of the paper account; it hands answers over as they came."""
        from alpaca.trading.client import TradingClient

        if self._trading is None:
            self._trading = TradingClient(
                self._access.key.get_secret_value(),
                self._access.secret.get_secret_value(),
                paper=True,
                raw_data=True,
                url_override=self._access.url.rstrip("/"),
            )
            _bound(self._trading, self._access)
        return self._trading

    @property
    def quotes(self) -> OptionHistoricalDataClient:
        """Return alpaca-py's client of option quotes."""
        from alpaca.data.historical.option import OptionHistoricalDataClient

        if self._quotes is None:
            self._quotes = OptionHistoricalDataClient(
                self._access.key.get_secret_value(),
                self._access.secret.get_secret_value(),
                raw_data=True,
                url_override=self._access.data_url.rstrip("/"),
            )
            _bound(self._quotes, self._access)
        return self._quotes

    def read(self, what: str, ask: Callable[[], Any]) -> Any:
        """Return the answer to a request that changes nothing, or the refusal; what passes is asked again.

        Raises
        ------
        BrokerUnavailableError : no answer after the last attempt.
        BrokerError, BrokerAnswerError : as ``once``.
        """
        http = self._access.http
        backoff = tenacity.wait_exponential(multiplier=http.backoff_seconds, max=http.backoff_maximum_seconds)
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(http.attempts),
            wait=lambda state: min(max(backoff(state), _last(state).seconds_to_wait), http.backoff_maximum_seconds),
            retry=tenacity.retry_if_result(lambda outcome: isinstance(outcome, _Unanswered)),
            retry_error_callback=_last,
            sleep=self._sleep,
        )
        return _answered(what, retrying(self._outcome, what, ask))

    def once(self, what: str, ask: Callable[[], Any]) -> Any:
        """Return the answer to one request, or the ``Refusal``.

        Parameters
        ----------
        what : what is asked, for errors.
        ask : asks by one of the clients.

        Raises
        ------
        BrokerUnavailableError : no answer, or none that tells whether the request was acted upon.
        BrokerError : the keys are not accepted.
        BrokerAnswerError : the answer is no JSON.
        """
        return _answered(what, self._outcome(what, ask))

    def _outcome(self, what: str, ask: Callable[[], Any]) -> Any:
        from alpaca.common.exceptions import APIError
        from requests.exceptions import JSONDecodeError, RequestException

        try:
            return ask()
        except APIError as error:
            refusal, response = _refusal_of(error, self._masked), error.response
        except JSONDecodeError:
            raise BrokerAnswerError(broker=BROKER, request=what, problem="the answer is no JSON") from None
        except RequestException as error:
            # The library's own words name the address; its kind says enough.
            return _Unanswered(f"no answer ({type(error).__name__})")
        if refusal.status >= _FIRST_SERVER_ERROR or refusal.status in _NOT_ACTED_UPON:
            asked = "" if response is None else response.headers.get("Retry-After", "")
            return _Unanswered(f"status {refusal.status}: {refusal.message}", _seconds_asked(asked))
        if refusal.status == _UNAUTHORIZED or (refusal.status == _FORBIDDEN and refusal.code is None):
            problem = (
                f"the keys are not accepted ({refusal.status}); set {KEY_VARIABLE} and {SECRET_VARIABLE} of a paper "
                "account"
            )
            raise BrokerError(broker=BROKER, request=what, problem=problem)
        return refusal

    def _masked(self, text: str) -> str:
        for secret in (self._access.key, self._access.secret):
            text = text.replace(secret.get_secret_value(), MASK)
        return text


def _bound(client: RESTClient, access: AlpacaAccess) -> None:
    """Let a client send each request once, within the time of the settings."""
    from requests.adapters import HTTPAdapter

    class TimeLimitedAdapter(HTTPAdapter):
        def send(self, *args: Any, **named: Any) -> Any:
            return super().send(*args, **(named | {"timeout": access.http.timeout_seconds}))

    client._retry = 0
    session = client._session
    for scheme in ("https://", "http://"):
        session.mount(scheme, TimeLimitedAdapter())
    # A proxy or a .netrc of the environment has no business between this process and its own machine.
    session.trust_env = urlsplit(str(client._base_url)).hostname not in LOOPBACK_HOSTS


def _refusal_of(error: Any, masked: Callable[[str], str]) -> Refusal:
    """Return Alpaca's words; a body that is not its JSON is shown as it is, cut short."""
    text = masked(str(error))
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return Refusal(error.status_code or 0, None, text[:_LONGEST_SHOWN])
    code = said.get("code")
    message = str(said.get("message", text))[:_LONGEST_SHOWN]
    return Refusal(error.status_code or 0, code if isinstance(code, int) else None, message)


def _seconds_asked(retry_after: str) -> float:
    return retry_after_seconds(HttpAnswer(0, {"retry-after": retry_after}, b"")) or 0.0


def _last(state: tenacity.RetryCallState) -> Any:
    return state.outcome.result() if state.outcome else None


def _answered(what: str, outcome: Any) -> Any:
    if isinstance(outcome, _Unanswered):
        raise BrokerUnavailableError(broker=BROKER, request=what, problem=outcome.problem)
    return outcome
