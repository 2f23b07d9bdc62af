"""How each kind of token is said, one file a kind; `vivavoce.text.tokens` says in which order they are tried."""
