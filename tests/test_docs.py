"""The documentation keeps step with the code, and its commands run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.running import CODECLM, codeclm

from codeclm.cli.starter import configuration_page
from codeclm.config_files import from_mapping

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_configuration_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == configuration_page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_of_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_command_is_in_the_readme_or_the_docs() -> None:
    text = "".join(page.read_text() for page in PAGES)
    for command in re.findall(r"│ (\w+) ", codeclm("--help").out.split("Commands")[1]):
        assert f"codeclm {command}" in text


def test_the_readme_commands_without_real_models_run(tmp_path: Path) -> None:
    commands = [line for line in re.findall(r"^\$ (codeclm .+)$", README, re.MULTILINE) if "runs/my-task" not in line]
    simulated = [command for command in commands if "my-task" in command or "demo" in command]
    assert len(simulated) == 3
    for command in simulated:
        arguments = command.split()[1:]
        if arguments[0] == "run":
            arguments += ["--set", "size=5"]
        done = codeclm(*arguments, cwd=tmp_path)
        assert done.status == 0, done


def test_the_readme_commands_on_a_finished_run_run(tmp_path: Path) -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    values = yaml.safe_load(text)
    from_mapping(values, folder=tmp_path)  # valid as it stands
    for name in ("strong", "target"):
        price = {"input": 1, "output": 2}
        values["models"][name] = {"model": name, "base_url": "simulator", "price": price}
    codeclm("init", tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values | {"size": 5}))
    commands = [
        line.split("#")[0].split()[1:]
        for line in re.findall(r"^\$ (codeclm (?:check|plan|run config\.yaml|status|export).*)$", README, re.MULTILINE)
    ]
    assert len(commands) == 8
    for arguments in commands:
        done = codeclm(*[argument.replace("size=2000", "size=8") for argument in arguments], cwd=tmp_path)
        assert done.status == 0, done


def test_the_readme_python_runs(tmp_path: Path) -> None:
    codeclm("init", tmp_path)
    [code] = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "codeclm.run" in block]
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'kept': 100" in done.stdout


HEAVY = {"aiohttp", "pydantic", "yaml", "pyarrow", "torch", "transformers", "datasets", "ray", "numpy", "rensa"}


@pytest.mark.parametrize(
    "code",
    [
        "import codeclm",
        "import contextlib\nwith contextlib.suppress(SystemExit):\n    sys.argv = ['codeclm', '--help']\n    "
        + CODECLM[2].replace("; ", "\n    "),
    ],
    ids=["import", "help"],
)
def test_importing_codeclm_and_asking_for_help_stay_light(code: str) -> None:
    code = f"import sys\n{code}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "codeclm" in loaded
    assert not HEAVY & loaded
