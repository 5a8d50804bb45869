"""The spool keeps the rules of every broker, and of those that have their messages at hand."""

from questline_core.testing.broker_contract import CountingBrokerContract


class TestSpool(CountingBrokerContract):
    pass
