"""The unmodified command line client, built from its sources: `REPLICATE_CLI` is its path."""

import json
import os
import subprocess

from checks import ECHO, ORIGIN, check, run_checks


def cli(*args):
    environment = {**os.environ, "REPLICATE_BASE_URL": f"{ORIGIN}/v1/"}
    command = [os.environ["REPLICATE_CLI"], *args]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


@check
def account():
    """account current"""
    assert json.loads(cli("account", "current", "--json"))["username"]


@check
def hardware():
    """hardware list"""
    assert any(item["sku"] == "cpu" for item in json.loads(cli("hardware", "list", "--json")))


@check
def model():
    """model show, model list"""
    assert json.loads(cli("model", "show", "test/echo", "--json"))["name"] == "echo"
    assert "echo" in cli("model", "list", "--json")


@check
def prediction():
    """prediction create, show, list"""
    output = json.loads(cli("prediction", "create", ECHO, "text=cli", "num_outputs=2", "--json", "--wait"))
    assert len(output) == 2, output
    newest = json.loads(cli("prediction", "list", "--json"))
    newest = newest["results"] if isinstance(newest, dict) else newest
    shown = json.loads(cli("prediction", "show", newest[0]["id"], "--json"))
    assert shown["status"] == "succeeded" and shown["output"] == output, shown
    assert shown["input"] == {"text": "cli", "num_outputs": 2}, shown["input"]


run_checks()
