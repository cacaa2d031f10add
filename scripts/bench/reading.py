"""How fast and in how much memory a spreadsheet is read into rows of text, beside openpyxl and pandas.

    scripts/bench-data read [--rows 200000] [--columns 10] [--peers PYTHON]

``--peers`` is a Python in whose environment openpyxl and pandas are installed; without it they are left out. Every measurement is a process
of its own; ours counts its reader's child process as well.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[2]
SEED = 20260101
WORDS = ("早高峰", "追尾", "人民路口", "信号灯故障", "已派警", "车辆剐蹭", "无人员受伤", "引导分流", "护栏损坏", "占用应急车道")

_MEASURE = """
import json, resource, sys, time
began = time.perf_counter()
{work}
used = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({{"seconds": round(time.perf_counter() - began, 2), "memory_mb": round(used / 1000), "rows": rows}}))
"""
_OURS = """
from pathlib import Path
from appliance.stages.ingest import tables
from appliance.stages.ingest.source import Source
rows = sum(1 for table in tables.read(Source(Path(sys.argv[1]), "auto", lambda position: None)) for row in table.rows)
"""
_IMPORT = """
from appliance.domain.spec import IngestSpec
from appliance.stages import ingest
events = []
choices = {"instruction": "列0", "output": "列1"}
ingest.run(IngestSpec(source=sys.argv[1], output=sys.argv[1] + ".dataset", columns=choices), events.append)
rows = events[-1].artifact.facts["counts"]["read"]
"""
_OPENPYXL = """
import openpyxl
sheet = openpyxl.load_workbook(sys.argv[1], read_only=True).active
rows = sum(1 for row in sheet.iter_rows(values_only=True)) - 1
"""
_PANDAS = """
import pandas
rows = len(pandas.read_excel(sys.argv[1]))
"""


def generate(path: Path, rows: int, columns: int) -> None:
    """Write an XLSX as office programs do: texts shared, numbers and dates as numbers; the same bytes for the same seed."""
    chance = random.Random(SEED)
    shared: dict[str, int] = {}

    def cell(text: str) -> str:
        return f'<c t="s"><v>{shared.setdefault(text, len(shared))}</v></c>'

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>')
            sheet.write(f"<row>{''.join(cell(f'列{number}') for number in range(columns))}</row>".encode())
            for number in range(rows):
                texts = [cell(f"{chance.choice(WORDS)}，{chance.choice(WORDS)}，编号{number}"), cell(chance.choice(WORDS))]
                numbers = [f"<c><v>{chance.randrange(10**6) / 10}</v></c>" for _ in range(2, columns)]
                sheet.write(f"<row>{''.join(texts[:columns] + numbers)}</row>".encode())
            sheet.write(b"</sheetData></worksheet>")
        entries = "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
        main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{main}" count="{len(shared)}" uniqueCount="{len(shared)}">{entries}</sst>')
        for name, content in _PACKAGE.items():
            archive.writestr(name, content)


_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGES = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PACKAGE = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGES}/content-types"><Default Extension="rels" '
    f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{_TYPE}.sharedStrings+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGES}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="{_OFFICE}">'
    '<sheets><sheet name="接警" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGES}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
}


def measured(what: str, python: str, work: str, path: Path) -> dict[str, Any]:
    """One way of reading, in a fresh process; what went wrong where it cannot be measured."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"} if python == sys.executable else None
    command = [python, "-c", _MEASURE.format(work=work), str(path)]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if finished.returncode:
        return {"what": what, "failed": finished.stderr.strip().splitlines()[-1:]}
    return {"what": what, **json.loads(finished.stdout)}


def add_options(options: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    options.add_argument("--rows", type=int, default=200_000)
    options.add_argument("--columns", type=int, default=10)
    options.add_argument("--peers", help="a Python that has openpyxl and pandas")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Generate, then read with each."""
    with tempfile.TemporaryDirectory(prefix="bench-read-", dir=options.folder) as folder:
        path = Path(folder) / "rows.xlsx"
        generate(path, options.rows, options.columns)
        lines = [measured("rows of text", sys.executable, _OURS, path), measured("whole import", sys.executable, _IMPORT, path)]
        if options.peers:
            lines += [measured("openpyxl", options.peers, _OPENPYXL, path), measured("pandas", options.peers, _PANDAS, path)]
        size = round(path.stat().st_size / 1e6, 1)
    print(f"XLSX of {options.rows:,} rows × {options.columns} columns, {size} MB", file=sys.stderr)
    for line in lines:
        print(
            f"{line['what']:<14} {line.get('seconds', '-'):>8} s {line.get('memory_mb', '-'):>8} MB  {line.get('failed', '')}",
            file=sys.stderr,
        )
    return {"rows": options.rows, "columns": options.columns, "size_mb": size, "measurements": lines}
