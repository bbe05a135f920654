"""Every setting of the project, frozen, from the environment (prefix ``TRADING_DAG_``) or ``.env``.

Nested settings use a double underscore: ``TRADING_DAG_BACKTEST__ACCOUNT_USD=50000``.
Keys of vendors are read from their own variables and are never printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from trading_dag.alert_settings import AlertSettings
from trading_dag.errors import StructureError, UnknownHorizonError, UnknownTickerError
from trading_dag.feature_choice import choose_features
from trading_dag.options.structures.user_structures import StructureSettings, parse_structures
from trading_dag.schemas import HORIZON_KEYS
from trading_dag.setting_groups import (
    AllocationSettings,
    AugmentationSettings,
    BacktestSettings,
    BootstrapSettings,
    ChampionSettings,
    DeepSettings,
    DriftSettings,
    GateSettings,
    HttpSettings,
    LiveSettings,
    PaperSettings,
    PolygonHistorySettings,
    PriceStackSettings,
    RegimeSettings,
    SelectorSettings,
    SignalSettings,
    SurfaceSettings,
    TrainingSettings,
    TuningSettings,
    WalkForwardSettings,
)
from trading_dag.simulation.simulation_settings import SimulationSettings
from trading_dag.slices import horizon_of, validate_ticker
from trading_dag.underlyings import FALLBACK_VOLATILITY_INDEX, OPTIONS_LISTED, OWN_VOLATILITY_INDEX

SourceName = Literal["sample", "files", "live", "simulated"]
ChainVendorName = Literal["yahoo", "polygon", "tradier", "none"]
ENVIRONMENT_FILE_ENCODING: Final = "utf-8-sig"  # editors of Windows begin a file with a mark of its encoding
STRUCTURE_FILE_ENDING: Final = ".json"  # no JSON text ends so
DEFAULT_TICKERS: Final[tuple[str, ...]] = ("SPY", "QQQ", "IWM", "SPX", "COMP")
TICKERS_OF_SOURCE: Final[dict[str, tuple[str, ...]]] = {
    "sample": ("SPX", "COMP"),
    "files": ("SPY", "QQQ", "IWM"),
    "live": ("SPY", "QQQ", "IWM"),
    "simulated": ("SPY",),
}
_BUCKET: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_=-][A-Za-z0-9_.=-]*)*")
# Funds report no earnings; their heaviest holdings do. IWM has none that matters, an index takes its fund's.
_MEGA_CAPS: Final = ("AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "AVGO")
EARNINGS_COMPANIES: Final[dict[str, tuple[str, ...]]] = {
    "SPY": (*_MEGA_CAPS, "JPM", "BRK.B"),
    "SPX": (*_MEGA_CAPS, "JPM", "BRK.B"),
    "QQQ": _MEGA_CAPS,
    "COMP": _MEGA_CAPS,
    "IWM": (),
}


def default_home() -> Path:
    """The checkout this package is used from, or the current directory where it was installed without one."""
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "dagster.yaml").is_file() else Path.cwd()


def _structures_in(path: Path) -> tuple[StructureSettings, ...]:
    """Returns the structures of a JSON file; ``StructureError`` names the file, the structure, the leg and the rule."""
    try:
        text = path.expanduser().read_text(encoding=ENVIRONMENT_FILE_ENCODING)
    except UnicodeDecodeError as error:
        raise StructureError(f"structures: {path} is no UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: ~somebody who has no home here
        reason = getattr(error, "strerror", None) or error
        raise StructureError(f"structures: {path} (seen from {Path.cwd()}) cannot be read: {reason}") from None
    if not text.strip():
        raise StructureError(f"structures: {path} is empty; a JSON list of structures is needed")
    try:
        return parse_structures(text)
    except StructureError as error:
        raise StructureError(f"{path}: {error}") from None


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Names that begin like a setting and are none, sorted. ``STATE`` is Dagster's, set by the command line.

    Nested settings are not looked at: a wrong name there is refused when the settings are read.
    """
    prefix = str(Settings.model_config["env_prefix"])
    known = {*Settings.model_fields, "state"}
    asked = (name.upper() for name in names)
    return sorted(
        name
        for name in asked
        if name.startswith(prefix) and name.removeprefix(prefix).partition("__")[0].lower() not in known
    )


class Settings(BaseSettings):
    """The composition root's input. Frozen; build another with ``model_copy(update=…)``."""

    model_config = SettingsConfigDict(
        env_prefix="TRADING_DAG_",
        env_nested_delimiter="__",
        env_file=".env",
        env_file_encoding=ENVIRONMENT_FILE_ENCODING,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,  # a mistyped key would otherwise be printed with the complaint
    )

    home: Path = Field(default_factory=default_home, description="where data/, models/ and warehouse.duckdb live")
    data_url: str | None = Field(
        None,
        description="object store that holds slices and models, such as s3://bucket/prefix; the home becomes a working "
        "copy of it. Address and keys come from AWS's own variables. Empty: the home holds them",
    )
    source: SourceName = Field("sample", description="where market data come from")
    files: Path | None = Field(None, description="folder of the files source")
    files_columns: dict[str, dict[str, str]] = Field(
        {},
        description="what a file of the folder calls a column, by kind of file: a JSON object, "
        '{"prices_daily": {"close": "Last"}}',
    )
    files_zone: str | None = Field(
        None,
        description="where the clocks of moments hang that say no time zone, such as America/New_York; empty refuses",
    )
    files_date_order: Literal["month_first", "day_first"] | None = Field(
        None, description="of day and month in dates like 01/02/2024; empty: as the file's other dates prove"
    )
    hull_file: Path | None = Field(
        None, description="train.csv of the Hull Tactical competition, or the same as Parquet; serves any source"
    )
    tickers: Annotated[tuple[str, ...], NoDecode] = Field((), description="what to work on; empty: by source")
    universe: Annotated[tuple[str, ...], NoDecode] = Field((), description="tickers beyond the default five")
    benchmarks: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="what cross-asset features compare with, the market first; empty: what the source has by itself"
    )
    horizons: Annotated[tuple[str, ...], NoDecode] = Field(HORIZON_KEYS, description="what is forecast and traded")
    workers: int = Field(2, ge=1, le=64, description="slices that are worked on at once")
    log_level: Literal["error", "warning", "info", "debug"] | None = Field(
        None, description="what commands log to stderr, as -v (info), -vv (debug) and -q (error) do; empty: warnings"
    )
    yahoo_url: str = Field("https://query2.finance.yahoo.com", description="address of Yahoo's API")
    fred_url: str = Field("https://api.stlouisfed.org", description="address of FRED's API, used with a key")
    fred_csv_url: str = Field(
        "https://fred.stlouisfed.org/graph/fredgraph.csv", description="address of FRED's public files, used without"
    )
    fred_api_key: SecretStr | None = Field(
        None, validation_alias="FRED_API_KEY", description="free: macro values as first released"
    )
    finnhub_url: str = Field("https://finnhub.io", description="address of Finnhub's API")
    finnhub_api_key: SecretStr | None = Field(
        None, validation_alias="FINNHUB_API_KEY", description="free: news and earnings"
    )
    dashboard_password: SecretStr | None = Field(
        None, description="what the dashboard asks for before it shows anything; empty: nothing, on this machine only"
    )
    finnhub_requests_per_minute: float = Field(60.0, gt=0, description="the free tier allows 60")
    apewisdom_url: str = Field("https://apewisdom.io", description="address of ApeWisdom's API")
    chain_vendor: ChainVendorName = Field("yahoo", description="who is asked for option chains; nobody takes its place")
    chain_days: int = Field(
        130,
        ge=1,
        le=1_200,
        description="expirations up to so many calendar days ahead; with 124 a monthly one lies beyond 90 days always",
    )
    model_keep_versions: int | None = Field(
        None, ge=1, description="versions of a model kept by every run, beyond those that stored rows name; empty: all"
    )
    history_keep_days: int | None = Field(
        None, ge=1, description="days for which a run keeps Dagster's record of earlier runs; empty: for ever"
    )
    automation: bool = Field(
        False, description="whether schedules and sensors are on until somebody turns them off, not only once turned on"
    )
    chain_keep_days: int | None = Field(
        None,
        ge=1,
        description="when a chain is stored, sessions quoted so many days before the ticker's last are dropped; empty "
        "keeps them for ever",
    )
    chain_cache_seconds: float = Field(
        21_600.0, ge=0, description="age at which a kept answer about a chain is asked again; 0 keeps none"
    )
    polygon_url: str = Field("https://api.polygon.io", description="address of Polygon's API")
    polygon_api_key: SecretStr | None = Field(
        None, validation_alias="POLYGON_API_KEY", description="option chains by Polygon"
    )
    polygon_requests_per_minute: float = Field(5.0, gt=0, description="the free tier allows 5")
    polygon_history: PolygonHistorySettings = PolygonHistorySettings()
    tradier_url: str = Field("https://api.tradier.com", description="or https://sandbox.tradier.com, 15 minutes late")
    tradier_token: SecretStr | None = Field(
        None, validation_alias="TRADIER_TOKEN", description="option chains by Tradier"
    )
    tradier_requests_per_minute: float = Field(60.0, gt=0, description="the sandbox allows 60, production 120")
    alpaca_url: str = Field("https://paper-api.alpaca.markets", description="its paper API; no other is spoken to")
    alpaca_data_url: str = Field("https://data.alpaca.markets", description="where its option quotes come from")
    alpaca_api_key: SecretStr | None = Field(
        None, validation_alias="ALPACA_API_KEY", description="of a paper account, with which no real money is reached"
    )
    alpaca_api_secret: SecretStr | None = Field(
        None, validation_alias="ALPACA_API_SECRET", description="the key's second half"
    )
    event_days: int | None = Field(
        None, ge=30, description="age at which stored news and mentions are dropped; empty keeps them for ever"
    )
    sentiment_basis: Literal["headlines", "vendor"] = Field(
        "headlines",
        description="where tone and buzz of the news come from: each headline's tone, or the vendor's own snapshots",
    )
    earnings_companies: dict[str, tuple[str, ...]] = Field(
        {}, description='whose earnings count for a ticker, beyond the defaults: a JSON object, {"XLK": ["AAPL"]}'
    )

    volatility_indices: dict[str, Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{1,9}$")]] = Field(
        {},
        description="the volatility index of a ticker's own options, beyond the defaults: a JSON object, "
        '{"GLD": "GVZ"}; without one its options are modelled from VIX, and no backtest of that is admissible',
    )
    options_listed: dict[str, date] = Field(
        {}, description='since when options on a ticker are listed, beyond the defaults: {"GLD": "2008-06-03"}'
    )

    structures: Annotated[tuple[StructureSettings, ...], NoDecode] = Field(
        (), description="option structures beyond the built-in ones: a JSON list, or the path of a .json file with it"
    )
    features: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="which features models may read: groups, essential, or names; empty: all"
    )
    walk_forward: WalkForwardSettings = WalkForwardSettings()
    training: TrainingSettings = TrainingSettings()
    tuning: TuningSettings = TuningSettings()
    price_stack: PriceStackSettings = PriceStackSettings()
    deep: DeepSettings = DeepSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    bootstrap: BootstrapSettings = BootstrapSettings()
    champion: ChampionSettings = ChampionSettings()
    regime: RegimeSettings = RegimeSettings()
    live: LiveSettings = LiveSettings()
    allocation: AllocationSettings = AllocationSettings()
    surface: SurfaceSettings = SurfaceSettings()
    backtest: BacktestSettings = BacktestSettings()
    gate: GateSettings = GateSettings()
    selector: SelectorSettings = SelectorSettings()
    signals: SignalSettings = SignalSettings()
    simulation: SimulationSettings = SimulationSettings()
    paper: PaperSettings = PaperSettings()
    drift: DriftSettings = DriftSettings()
    alerts: AlertSettings = AlertSettings()
    http: HttpSettings = HttpSettings()

    @field_validator("tickers", "universe", "benchmarks", "horizons", "features", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("structures", mode="before")
    @classmethod
    def _structures_can_be(cls, value: object) -> tuple[StructureSettings, ...]:
        if isinstance(value, str) and value.strip().lower().endswith(STRUCTURE_FILE_ENDING):
            return _structures_in(Path(value.strip()))
        return parse_structures(value)

    @field_validator("home", "files", "hull_file", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        try:
            return None if value is None else value.expanduser().resolve()
        except RuntimeError as error:
            raise ValueError(f"{value}: {error}") from None  # ~somebody who has no home here

    @field_validator("data_url", mode="after")
    @classmethod
    def _names_a_bucket(cls, value: str | None) -> str | None:
        if value is not None and not _BUCKET.fullmatch(value):
            raise ValueError("expected s3://bucket or s3://bucket/prefix, without keys, options or a slash at the end")
        return value

    @field_validator("tickers", "universe", "benchmarks", mode="after")
    @classmethod
    def _tickers_have_the_form(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(validate_ticker(ticker) for ticker in value))

    @field_validator("volatility_indices", "options_listed", mode="after")
    @classmethod
    def _underlyings_have_the_form(cls, value: dict[str, object]) -> dict[str, object]:
        return {validate_ticker(ticker): of_it for ticker, of_it in value.items()}

    @field_validator("earnings_companies", mode="after")
    @classmethod
    def _companies_have_the_form(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {
            validate_ticker(ticker): tuple(dict.fromkeys(validate_ticker(company) for company in companies))
            for ticker, companies in value.items()
        }

    @field_validator("files_zone", mode="after")
    @classmethod
    def _zone_exists(cls, value: str | None) -> str | None:
        try:
            return value if value is None else ZoneInfo(value).key
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise ValueError(f"{value!r} is no time zone, such as America/New_York or UTC") from None

    @field_validator("features", mode="after")
    @classmethod
    def _features_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        choose_features(value)
        return tuple(dict.fromkeys(value))

    @field_validator("horizons", mode="after")
    @classmethod
    def _horizons_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(horizon_of(key).key for key in value)) or HORIZON_KEYS

    @model_validator(mode="after")
    def _tickers_are_in_the_universe(self) -> Settings:
        for ticker in (*self.tickers, *self.benchmarks):
            if ticker not in self.all_tickers:
                raise UnknownTickerError(self._not_in_the_universe(ticker))
        return self

    @property
    def all_tickers(self) -> tuple[str, ...]:
        """Return the partition keys: the default five, ``universe``, and the shares of a simulation."""
        return tuple(dict.fromkeys((*DEFAULT_TICKERS, *self.universe, *self._simulated_shares)))

    @property
    def active_tickers(self) -> tuple[str, ...]:
        """Return what a command works on when it is given no tickers."""
        return self.tickers or tuple(dict.fromkeys((*self.tickers_of_source, *self.universe)))

    @property
    def benchmark_tickers(self) -> tuple[str, ...]:
        """Return the tickers with which cross-asset features compare, the market first, whatever else is in the
        universe."""
        return self.benchmarks or TICKERS_OF_SOURCE[self.source]

    @property
    def tickers_of_source(self) -> tuple[str, ...]:
        """Return the tickers that the source offers by itself, whatever else the universe holds."""
        return (*TICKERS_OF_SOURCE[self.source], *self._simulated_shares)

    @property
    def _simulated_shares(self) -> tuple[str, ...]:
        return self.simulation.names if self.source == "simulated" else ()

    def own_volatility_index(self, ticker: str) -> str | None:
        """Returns the index of the ticker's own options, None where it has none."""
        of_its_own = {**OWN_VOLATILITY_INDEX, **self.volatility_indices}.get(ticker)
        return f"VX{ticker}" if of_its_own is None and ticker in self._simulated_shares else of_its_own

    def volatility_index_of(self, ticker: str) -> str:
        """Returns the index that stands for the ticker's volatility: its own, otherwise VIX."""
        return self.own_volatility_index(ticker) or FALLBACK_VOLATILITY_INDEX

    def options_listed_since(self) -> dict[str, date]:
        """Returns the first session of listed options by ticker; the shares of a simulation have had them always."""
        return {**dict.fromkeys(self._simulated_shares, date.min), **OPTIONS_LISTED, **self.options_listed}

    def companies_of(self, ticker: str) -> tuple[str, ...]:
        """Return whose earnings count for a ticker: as configured, the heavy holdings of a known fund, or its own."""
        return self.earnings_companies.get(ticker, EARNINGS_COMPANIES.get(ticker, (ticker,)))

    def select(self, tickers: tuple[str, ...], horizons: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Check what the user asked for and fill in what was not said.

        Raises
        ------
        UnknownTickerError, UnknownHorizonError : for a name that does not exist.
        """
        for ticker in tickers:
            if validate_ticker(ticker) not in self.all_tickers:
                raise UnknownTickerError(self._not_in_the_universe(ticker))
        for key in horizons:
            if key not in HORIZON_KEYS:
                raise UnknownHorizonError(f"unknown horizon {key!r}; choose from {', '.join(HORIZON_KEYS)}")
        return tickers or self.active_tickers, horizons or self.horizons

    def _not_in_the_universe(self, ticker: str) -> str:
        wanted = ",".join((*self.universe, ticker))
        return (
            f"{ticker} is not in the universe {', '.join(self.all_tickers)}. Set TRADING_DAG_UNIVERSE={wanted} (in the "
            f"environment or in .env) and run again with --tickers {ticker}; with the files source a file {ticker}.csv "
            "in the folder does it too"
        )
