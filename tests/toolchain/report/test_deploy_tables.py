from __future__ import annotations

import io
from types import SimpleNamespace

from rich.console import Console

from edgepack.toolchain.deploy.execute import Deployment
from edgepack.toolchain.deploy.messages import GoldenResult
from edgepack.toolchain.report.deploy_tables import deploy_table, deployment_document

GOLDEN = GoldenResult.model_validate(
    {"cases": 8, "max_error": 0.5, "unit": "quantized_steps", "tolerance": 2.0, "top1_agreement": 1.0}
)


def deployment(**changes: object) -> Deployment:
    runtime = SimpleNamespace(kind="litert", version="2.3.0", source="system")
    values = {
        "device": "[b]pi[/b]", "name": "fashion", "package_id": "ab" * 32, "previous": None,
        "already_installed": False, "runtime": runtime, "golden": GOLDEN, "sent_bytes": 41_370,
        "connect_s": 0.25, "push_s": 0.5, "install_s": 1.25,
    }  # fmt: skip
    return Deployment(**{**values, **changes})


def shown(*deployments: Deployment) -> list[str]:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(deploy_table(deployments))
    return console.file.getvalue().splitlines()


def test_a_row_a_deployment() -> None:
    _, first, second = shown(deployment(), deployment(already_installed=True, sent_bytes=0))
    head, tail = "[b]pi[/b] fashion abababababab litert 2.3.0 40.4 KiB", "2.0 s installed"
    assert " ".join(first.split()) == f"{head} 8 within 0.5 of 2 quantized_steps {tail}"
    assert second.rstrip().endswith("was installed already")


def test_a_runtime_of_unknown_version() -> None:
    runtime = SimpleNamespace(kind="litert", version=None, source="system")
    assert "None" not in "".join(shown(deployment(runtime=runtime)))


def test_document_holds_raw_values() -> None:
    document = deployment_document(deployment())
    assert document["golden"]["max_error"] == 0.5
    assert (document["sent_bytes"], document["previous"]) == (41_370, None)
    assert document["runtime"] == {"kind": "litert", "version": "2.3.0", "source": "system"}
