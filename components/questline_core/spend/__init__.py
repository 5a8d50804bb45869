"""The spend model: examples, training, evaluation, report and gate."""
