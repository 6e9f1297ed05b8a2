"""LangChain community's wrapper of `replicate` 1.x against a running server."""

import warnings

import replicate
from checks import ECHO, ORIGIN, check, raises, run_checks

warnings.simplefilter("ignore")
from langchain_community.llms import Replicate  # noqa: E402

replicate.default_client.poll_interval = 0.05


@check
def invoke():
    """invoke() by version: the first input is the prompt"""
    model = Replicate(model=ECHO, model_kwargs={"num_outputs": 1, "steps": 1})
    answer = model.invoke("a prompt")
    assert answer.startswith(f"{ORIGIN}/") and answer.endswith("/out-0.txt"), answer
    (newest, *_) = replicate.predictions.list().results
    assert newest.input == {"text": "a prompt", "num_outputs": 1, "steps": 1}, newest.input


@check
def invoke_by_name():
    """invoke() by owner/name"""
    assert Replicate(model="test/echo").invoke("a prompt").endswith("/out-0.txt")


@check
def stream():
    """stream(): the outputs one by one"""
    model = Replicate(model=ECHO, model_kwargs={"num_outputs": 3})
    assert len(list(model.stream("a prompt"))) == 3


@check
def failure():
    """a prediction that fails raises its reason"""
    model = Replicate(model="test/painting")
    raises(RuntimeError, lambda: model.invoke("fail"), "the paint is dry")


@check
def batch():
    """batch()"""
    assert len(Replicate(model=ECHO).batch(["a", "b", "c"])) == 3


run_checks()
