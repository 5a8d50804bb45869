"""A stand-in for BigQuery at the wire: REST v2 and the Storage Write API, with the embedded warehouse behind them."""
