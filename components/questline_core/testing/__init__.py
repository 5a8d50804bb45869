"""What tests of any room use: contract suites of the ports, and fakes written by hand."""
