"""Steps that make, judge and use the models of churn."""
