"""Commands: labelstudio start, stop, status, accounts."""

from typing import Annotated

import typer

from jinbench.cli.common import EXIT_SERVER, JSON, benchmark_of, emit, format_table, progress, say

labelstudio_commands = typer.Typer(no_args_is_help=True, help="The Label Studio server on this machine.")


@labelstudio_commands.command("start")
def labelstudio_start(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(
            help="The port to try first; another is taken if it is in use. [default: the last one, else 8080]"
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="The address to listen on, 0.0.0.0 for all; it says what that changes. Not remembered. [127.0.0.1]"
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Start the server (installing it on first use), make the accounts, and say how to log in.

    It keeps its work in SQLite, or in the PostgreSQL that DJANGO_DB=default and POSTGRE_HOST, _PORT, _NAME, _USER and
    _PASSWORD name. docs/labelstudio.md says when that is worth it, and how to take the work along.
    """
    from jinbench.annotation.annotators import read_annotators
    from jinbench.labelstudio.server import accounts, process
    from jinbench.labelstudio.server.accounts import ensure_local_member
    from jinbench.labelstudio.server.database import recorded_database

    with progress() as step:
        server = process.start_server(port, say=say, host=host, step=step)
    for name in read_annotators(benchmark_of(ctx)).names:
        ensure_local_member(server.url, name)
    logins = [account.email for account in accounts.accounts_by_name().values()]
    warning = process.describe_exposure(server)
    if warning:
        say(warning)
    reach = "on this machine only" if server.is_private else f"reachable at {server.host}:{server.port} from outside"

    def text() -> str:
        return (
            f"Label Studio {server.version} at {server.url} (process {server.pid}), {reach}.\n"
            f"Log in as  {chr(10).join(logins).replace(chr(10), chr(10) + '           ')}\n"
            f"Passwords  jinbench labelstudio accounts --passwords\n"
            f"           (kept in {accounts.accounts_path()}, readable by you alone)\n"
            "Next       jinbench annotate push     End  jinbench labelstudio stop"
        )

    record = {"url": server.url, "host": server.host, "pid": server.pid, "database": str(recorded_database())}
    emit(record | {"logins": logins, "passwords": str(accounts.accounts_path())}, as_json, text)


@labelstudio_commands.command("stop")
def labelstudio_stop(as_json: JSON = False) -> None:
    """End the server. Everything it holds stays where it is."""
    from jinbench.labelstudio.server.process import stop_server

    ended = stop_server()
    emit({"ended": ended}, as_json, lambda: "Label Studio has ended." if ended else "No Label Studio was running.")


@labelstudio_commands.command("status")
def labelstudio_status(as_json: JSON = False) -> None:
    """Say whether the server runs, where, and on which database. Exit code 3 if it does not."""
    from jinbench.labelstudio.server import accounts
    from jinbench.labelstudio.server import database as databases
    from jinbench.labelstudio.server.process import find_server

    server, database = find_server(), databases.recorded_database()
    record = {
        "running": server is not None,
        "url": server.url if server else None,
        "host": server.host if server else None,
        "pid": server.pid if server else None,
        "database": str(database) if database else None,
        "home": str(accounts.home()),
    }
    reach = "" if server is None or server.is_private else f", reachable at {server.host}:{server.port} from outside"
    emit(
        record,
        as_json,
        lambda: (
            f"Label Studio at {server.url} (process {server.pid}) on {database}{reach}."
            if server
            else "No Label Studio is running. Type: jinbench labelstudio start"
        ),
    )
    if server is None:
        raise typer.Exit(EXIT_SERVER)


@labelstudio_commands.command("accounts")
def labelstudio_accounts(
    url: Annotated[str | None, typer.Option(help="Only the server at this address.")] = None,
    passwords: Annotated[bool, typer.Option("--passwords", help="Show the passwords too.")] = False,
    as_json: JSON = False,
) -> None:
    """List the accounts of Label Studio that are kept on this machine. Tokens are never shown."""
    from jinbench.labelstudio.server import accounts, address

    server = address.normalize_url(url) if url else None
    accounts.restrict_permissions()
    accounts_shown = [account for account in accounts.read_accounts() if server is None or account.url == server]
    rows = [
        {"name": account.name, "login": account.email, "server": account.url or "this machine"}
        | ({"password": account.password} if passwords else {})
        for account in accounts_shown
    ]
    emit(rows, as_json, lambda: format_table(rows) or "There are no accounts yet. Type: jinbench labelstudio start")
