"""A run over a folder of records: request, units, workers, ledger, tables."""
