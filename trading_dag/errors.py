"""The exceptions of the project, in one tree. No other module defines an exception.

TradingDagError
├── ConfigurationError            settings or environment that cannot work
│   ├── UnknownTickerError        a ticker that is not in the universe, or is no ticker at all
│   ├── UnknownHorizonError       a horizon that is not one of the six
│   ├── UnknownFeatureError       a group of features, or a feature, that does not exist; none of a model's inputs
│   ├── UnknownNameError          a name that means nothing in the project
│   ├── UnknownModelError         a model that does not exist
│   ├── UnknownFamilyError        a learner that cannot be tuned
│   └── NoBudgetError             a search that may neither take trials nor time
├── SourceError                   a source could not give what was asked (names source and request)
│   ├── SourceUnavailableError    network, time-out, 5xx, 429 after the last retry
│   ├── SourceFormatError         an answer that is not in the documented shape
│   ├── EmptySourceError          a well-formed answer without rows
│   ├── StaleSourceError          an answer, or all that can be had now, that is of another session
│   └── SourceOffError            the source, or its key, is not configured
├── DataQualityError              a frame that breaks a rule (names table, key and rule)
│   ├── SchemaError               columns, types, key, bounds
│   ├── BadSliceError             a blocking check failed: the last good slice stays in place
│   ├── PriceBaseError            stored and fresh prices that no one factor reconciles
│   ├── SourceMismatchError       rows of one source merged into a slice of another
│   ├── AugmentedTestError        augmented rows where a model would be judged on them
│   └── InFoldStackingError       forecasts of rows that were learnt from, where a blend would learn from them
├── StorageError                  a stored file that is missing or unreadable
│   ├── SliceNotFoundError
│   ├── ModelNotFoundError
│   ├── UntrustedModelError       a stored model that holds a type nobody allowed, or was altered
│   ├── StudyJournalError         a journal of trials that is damaged, or is another search's
│   └── BackupError               an archive that is damaged, unsafe or none, or a home that it may not replace
├── ObjectStoreError              an object store that gives no answer, or refuses one (names the object)
├── ServerError                   a server of the UI that ended by itself
├── AlertNotSentError             an alert that a channel did not take; it is kept and tried again
├── InsufficientDataError         too few rows or classes to fit or to score
├── OptionPricingError            arguments outside the domain of a pricing function
│   ├── StructureError            legs or rules of a structure that cannot be (names structure, leg and rule)
│   └── ContractSymbolError       a contract that has no standard name, or a name that means no standard contract
├── PaperTradingError             the paper account could not do what was asked
│   ├── LiveTradingError          real money was asked for
│   ├── OrderRefusedError         an order that was not sent: a limit, or the kill switch (names order and rule)
│   │   └── KillSwitchError       the kill switch is on
│   ├── BrokerError               a broker could not do what was asked (names broker and request)
│   │   ├── BrokerUnavailableError  no answer: nobody knows whether the order arrived
│   │   ├── BrokerAnswerError     an answer in no shape that is documented, or a state that is not known
│   │   └── OrderNotFoundError    the broker never got the order
│   └── JournalError              the account's journal is damaged, or is another account's
└── SliceBusyError                another run is materializing the same slices
"""


class TradingDagError(Exception):
    """Serves as the base of every error that the project raises on purpose."""


class ConfigurationError(TradingDagError):
    """Raised for settings or an environment that cannot work."""


class UnknownTickerError(ConfigurationError):
    """A ticker that is not in the universe, or is no ticker at all."""


class UnknownHorizonError(ConfigurationError):
    """Raised for a horizon that is not one of the six."""


class UnknownFeatureError(ConfigurationError):
    """A group of features or a feature that does not exist, or a choice that leaves a model none of its inputs."""


class UnknownNameError(ConfigurationError):
    """Raised for a name that means nothing in the project.

    Parameters
    ----------
    name : as it was given.
    alike : names that are spelled alike.
    """

    def __init__(self, name: str, alike: tuple[str, ...]) -> None:
        self.name = name
        self.alike = alike
        hint = f"did you mean {', '.join(alike)}?" if alike else "trading-dag explain lists what there is"
        super().__init__(
            f"{name!r} is no feature, table, column, metric, model, structure, exit, rule or setting; {hint}"
        )


class UnknownModelError(ConfigurationError):
    """Raised for a model that does not exist."""


class UnknownFamilyError(ConfigurationError):
    """Raised for a learner that does not exist or has nothing to tune."""


class NoBudgetError(ConfigurationError):
    """Raised for a search that may neither take trials nor time."""


class UnknownVersionError(ConfigurationError):
    """Raised for a version of a model that is not stored."""


class SourceError(TradingDagError):
    """A source could not give what was asked.

    Parameters
    ----------
    source : name of the source, such as ``yahoo``.
    request : what was asked, without keys or secrets.
    problem : what went wrong.
    remedy : what the user can do.
    """

    def __init__(self, *, source: str, request: str, problem: str, remedy: str) -> None:
        self.source = source
        self.request = request
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{source}: {problem} (request: {request}). {remedy}")


class SourceUnavailableError(SourceError):
    """Raised for a network failure, a time-out, a server error, or too many requests after the last retry."""


class SourceFormatError(SourceError):
    """Raised for an answer that does not have the documented shape."""


class EmptySourceError(SourceError):
    """Raised for a well-formed answer without rows where rows were expected."""


class StaleSourceError(SourceError):
    """Raised where the source offers another session than the one that was asked for."""


class SourceOffError(SourceError):
    """The source, or the key it needs, is not configured."""


class DataQualityError(TradingDagError):
    """Raised for a frame that breaks a rule.

    Parameters
    ----------
    table : qualified name, such as ``raw.prices_daily``.
    key : the slice or the offending key, such as ``ticker=SPY, session=2024-11-15``.
    rule : the rule that is broken, as a sentence.
    """

    def __init__(self, *, table: str, key: str, rule: str) -> None:
        self.table = table
        self.key = key
        self.rule = rule
        super().__init__(f"{table} [{key}]: {rule}")


class SchemaError(DataQualityError):
    """Raised for columns, types, keys or bounds that differ from ``schemas``."""


class BadSliceError(DataQualityError):
    """A blocking check failed; nothing was written and the last good slice stays in place."""


class PriceBaseError(DataQualityError):
    """Raised where no split factor reconciles stored and fresh prices of the same bars; nothing was merged."""


class SourceMismatchError(DataQualityError):
    """Rows of one source would be merged into a slice of another."""


class AugmentedTestError(DataQualityError):
    """Raised for augmented rows in a test part, or made of sessions that a test part is judged on."""


class InFoldStackingError(DataQualityError):
    """Raised where a blend would learn from forecasts whose learners had seen the outcomes."""


class StorageError(TradingDagError):
    """A stored file is missing or unreadable."""


class SliceNotFoundError(StorageError):
    """Raised for a slice that was never materialized."""


class ModelNotFoundError(StorageError):
    """Raised for a model that was never fitted."""


class UntrustedModelError(StorageError):
    """Raised for a stored model with a type that is not allowed, or whose files differ from its spec."""


class StudyJournalError(StorageError):
    """Raised for a journal of trials that cannot be read, or that belongs to another search."""


class BackupError(StorageError):
    """Raised for an archive that is damaged, unsafe or no backup, and for a home that it may not replace."""


class ObjectStoreError(TradingDagError):
    """An object store that gives no answer or refuses one; what is stored there is not known, which is not missing."""


class ServerError(TradingDagError):
    """Raised where a server of the UI ended by itself."""


class AlertNotSentError(TradingDagError):
    """Raised where a channel did not take an alert; names the reason, and no secret."""


class InsufficientDataError(TradingDagError):
    """Raised where there are too few rows or classes to fit or to score."""


class OptionPricingError(TradingDagError):
    """Raised for arguments outside the domain of a pricing function."""


class StructureError(OptionPricingError):
    """Raised for impossible legs or rules of an option structure; names the structure, the leg and the rule."""


class ContractSymbolError(OptionPricingError):
    """A contract has no standard name, or a name means no standard contract.

    Parameters
    ----------
    contract : what was to be named, or the name.
    rule : the rule that is broken, as a sentence.
    """

    def __init__(self, *, contract: str, rule: str) -> None:
        self.contract = contract
        self.rule = rule
        super().__init__(f"{contract}: {rule}")


class PaperTradingError(TradingDagError):
    """Raised where the paper account could not do what was asked."""


class LiveTradingError(PaperTradingError):
    """Raised where real money was asked for: by half of the settings that allow it, or with no broker that has it."""


class OrderRefusedError(PaperTradingError):
    """An order was not sent.

    Parameters
    ----------
    order_id : of the order.
    rule : which limit forbids it, in words, with its numbers.
    """

    def __init__(self, *, order_id: str, rule: str) -> None:
        self.order_id = order_id
        self.rule = rule
        super().__init__(f"order {order_id} was not sent: {rule}")


class KillSwitchError(OrderRefusedError):
    """The kill switch is on, so no order is sent."""


class BrokerError(PaperTradingError):
    """A broker could not do what was asked.

    Parameters
    ----------
    broker : its name.
    request : what was asked, without keys or secrets.
    problem : what went wrong.
    """

    def __init__(self, *, broker: str, request: str, problem: str) -> None:
        self.broker = broker
        self.request = request
        self.problem = problem
        super().__init__(f"broker {broker}: {problem} (request: {request})")


class BrokerUnavailableError(BrokerError):
    """Raised where no answer came, so that nobody knows whether the order arrived."""


class BrokerAnswerError(BrokerError):
    """Raised for an answer that does not have the documented shape, or names a state that nobody knows."""


class OrderNotFoundError(BrokerError):
    """Raised for an order that the broker never got."""


class JournalError(PaperTradingError):
    """Raised for a journal of the account that is damaged, or that belongs to another account."""


class SliceBusyError(TradingDagError):
    """Another run is materializing the same slices."""
