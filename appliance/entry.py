"""The console script ``greenwave``: offline switches first, then the command, and one place where every error is told."""

from __future__ import annotations

import gc
import os
import sys

TRACE_VARIABLE = "GREENWAVE_TRACE"
"""Set to anything, it lets a defect of ours show where it happened."""


def main() -> int:
    """Run the command line; the exit status."""
    # What is imported stays until the end: looking for garbage in it takes a tenth of the time until a command begins.
    gc.disable()
    try:
        # Imported here, since Ctrl-C may come at any time, and an import takes some.
        from appliance.running.offline import go_offline

        go_offline()
        _prepare_streams()
        return _run_command()
    except KeyboardInterrupt:
        return 130  # ``ExitCode.INTERRUPT``, which may not have been imported yet


def _run_command() -> int:
    import errno

    from appliance.cli.output import report_error
    from appliance.domain.errors import ApplianceError, ExitCode

    as_json = any(argument in ("--json", "--jsonl") for argument in sys.argv[1:])
    try:
        _require_text()
        return _dispatch()
    except ApplianceError as error:
        report_error(error, as_json)
        return int(error.exit_code)
    except (BrokenPipeError, SystemExit):
        # The reader of a listing has seen enough (click says so by SystemExit); flushing what is left would raise again at exit.
        sys.stdout = None
        return int(ExitCode.DONE)
    except OSError as error:
        exit_code = ExitCode.NO_ROOM if error.errno in (errno.ENOSPC, errno.EDQUOT) else ExitCode.RUN_FAILED
        told = ApplianceError("system_refused", exit_code, path=str(error.filename or "-"), reason=error.strerror or str(error))
    except Exception as error:
        if os.environ.get(TRACE_VARIABLE):
            raise
        told = ApplianceError("command_defect", ExitCode.RUN_FAILED, error=f"{type(error).__name__}: {error}"[:500])
    report_error(told, as_json)
    return int(told.exit_code)


def _dispatch() -> int:
    import click
    from click.exceptions import NoArgsIsHelpError

    from appliance.cli.root import root
    from appliance.domain.errors import ApplianceError, ExitCode

    if len(sys.argv) == 1 and sys.stdin.isatty() and sys.stderr.isatty():  # Textual draws on standard error
        from appliance.services.resuming import resumes_at_start
        from tui.app import GreenwaveApp

        app = GreenwaveApp(resumes=resumes_at_start())
        _collect_garbage()
        app.run()
        return app.return_code or int(ExitCode.DONE)
    _collect_garbage()
    try:
        root.main(standalone_mode=False, prog_name="greenwave")
        if sys.stdout is not None:
            sys.stdout.flush()
    except NoArgsIsHelpError as error:
        error.show()
        return int(ExitCode.USAGE)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "greenwave"
        raise ApplianceError("usage", ExitCode.USAGE, reason=error.format_message(), command=command) from error
    except click.Abort:
        return int(ExitCode.INTERRUPT)
    return int(ExitCode.DONE)


def _collect_garbage() -> None:
    gc.freeze()
    gc.enable()


def _prepare_streams() -> None:
    """Let nothing that is printed or missing end a command: closed streams lead nowhere, unprintable characters become escapes."""
    import io

    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file that is opened, such as a lock or the database, would take a standard stream's place.
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  # lives as long as the process
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # the same
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # the same
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _require_text() -> None:
    """Names that are not UTF-8 can be kept neither in the database nor in JSON; a person has to rename such a file anyway."""
    for argument in (*sys.argv[1:], os.environ.get("GREENWAVE_HOME", "")):
        if not argument.isascii() and argument != argument.encode("utf-8", "replace").decode():
            shown = argument.encode("utf-8", "backslashreplace").decode()
            from appliance.domain.errors import ApplianceError, ExitCode

            raise ApplianceError("argument_not_text", ExitCode.USAGE, argument=shown[:200])


if __name__ == "__main__":
    sys.exit(main())
