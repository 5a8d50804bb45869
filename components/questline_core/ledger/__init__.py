"""What served when: the append-only ledger of all moves of revisions."""
