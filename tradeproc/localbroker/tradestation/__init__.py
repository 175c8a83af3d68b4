"""TradeStation's dialect of the local broker: its paths, its JSON, its OAuth2; nothing else knows any of it.

    tickets.py          order requests as they come, read; order_entry.py placing, replacing, cancelling
    brokerage.py        accounts, balances, positions and orders; account_shapes.py how they are written
    market_data.py      symbols, bars and quotes; market_shapes.py how they are written
    sources.py          what each stream tells; stream_forms.py what it says beside that; views.py the market as shown
    dialect.py          its routes and forms, as the server wants them; error_bodies.py its errors and lists
    oauth.py            the sign-in host; sign_in_routes.py its routes
    numbers.py          how numbers, symbols and moments are written

Start reading at `order_entry.py`.
"""
