"""Dagster's runs on this machine: their history, the processes that own them, and their launcher."""
