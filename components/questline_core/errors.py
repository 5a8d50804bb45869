"""The base of every error that a person may read, and the ones that several rooms raise.

QuestlineError
├── BadInput            what was given cannot be used; says what, where and what to do
├── NotReady            something that must run or exist first does not
│   └── LivesOn         something cannot be erased, and ends by itself later
├── BrokerFull          the broker cannot make more messages durable now
└── MissingExtra        a part of Questline that this command needs is not installed
"""


class QuestlineError(Exception):
    """Raised for every failure that Questline explains; its text is a sentence that says what to do."""


class BadInput(QuestlineError):
    """Raised when a file, an event, a query or an option given by a person cannot be used."""


class NotReady(QuestlineError):
    """Raised when something that this step needs does not run or does not exist yet."""


class LivesOn(NotReady):
    """Raised when what is to be erased cannot be; the text says until when it lives on by itself."""


class BrokerFull(QuestlineError):
    """Raised when the broker can make no more messages durable; nothing of the batch was stored."""

    def __init__(self, where: str, why: str, *, retry_after_s: float) -> None:
        super().__init__(f"{where} takes no more events now ({why}); send them again in {retry_after_s:g} s")
        self.where, self.why, self.retry_after_s = where, why, retry_after_s


class MissingExtra(QuestlineError):
    """Raised when a package of an extra that is not installed is needed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs packages that are not installed: pip install 'questline[{extra}]'")
        self.what, self.extra = what, extra
