"""Trades judged by the forecast's distribution: candidates, what each is expected to bring, and the choice."""
