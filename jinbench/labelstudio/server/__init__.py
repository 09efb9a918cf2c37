"""The Label Studio server: address, accounts, database, process and client."""
