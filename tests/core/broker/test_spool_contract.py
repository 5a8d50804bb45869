"""The spool keeps the rules of every broker."""

from questline_core.testing.broker_contract import BrokerContract


class TestSpool(BrokerContract):
    pass
