"""``greenwave demo``: the whole life of a model, visibly, on what ships with the appliance."""

from __future__ import annotations

import click

from appliance.cli.answering import LIKELIEST, print_answer
from appliance.cli.opening import open_workbench
from appliance.cli.options import json_option
from appliance.cli.output import narrate, print_facts, print_json, print_table
from appliance.cli.sparkline import sparkline
from appliance.cli.starting import as_object
from appliance.cli.watching import watch
from appliance.cli.wording import label, told
from appliance.domain.conversation import Message
from appliance.domain.run import Run
from appliance.services.chat import open_chat
from appliance.services.demo import DemoReport, demo_question, demo_report, start_demo
from appliance.texts.speech import human_bytes, human_duration, say


@click.command("demo", help=told("demo"))
@json_option
def command(as_json: bool) -> None:
    """Run it, then show what it measured and one live answer."""
    workbench = open_workbench()
    run = start_demo(workbench)
    narrate(say("notices", "demo_started", run=run.id, home=str(workbench.home.root)))
    watch(workbench, run)
    report = demo_report(workbench, run)
    question = demo_question()
    if as_json:
        with open_chat(workbench, report.model.name) as client:
            answer = client.chat([Message("user", question)], LIKELIEST)
        print_json(_as_object(report, run, question, answer.text))
        return
    _show(report)
    click.echo(f"\n{label('question')}: {question}\n{label('answer')}: ", nl=False)
    with open_chat(workbench, report.model.name) as client:
        print_answer(client, [Message("user", question)], LIKELIEST)
    narrate(say("notices", "demo_next", model=report.model.name))


def _show(report: DemoReport) -> None:
    rows = report.rows
    sizes = "  ".join(f"{label(f'size_{name}')} {human_bytes(size)}" for name, size in report.sizes.items())
    exam = "  →  ".join(f"{label(f'exam_{name}')} {share:.1%}" for name, share in report.exam.items())
    shown = {
        "rows_in_out": f"{rows['read']} → {rows['accepted']} + {rows['rejected']} → {rows['train']} / {rows['validation']}",
        "loss": sparkline(report.loss_curve),
        "exam": exam,
        "sizes": sizes,
        "memory": human_bytes(report.peak_memory),
    }
    click.echo()
    print_facts(shown)
    click.echo()
    print_table(("stage", "duration"), [(say("stages", title), human_duration(seconds)) for title, seconds in report.seconds.items()])


def _as_object(report: DemoReport, run: Run, question: str, answer: str) -> dict[str, object]:
    return {
        "run": run.id,
        "rows": report.rows,
        "exam": report.exam,
        "seconds": report.seconds,
        "peak_memory_mb": round(report.peak_memory / 1e6, 1),
        "sizes": report.sizes,
        "loss_curve": report.loss_curve,
        "model": as_object(report.model),
        "question": question,
        "answer": answer,
    }
