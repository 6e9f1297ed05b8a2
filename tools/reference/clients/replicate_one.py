"""The unmodified `replicate` 1.x for Python against a running server."""

import asyncio
import io
import time
import urllib.request

import replicate
from checks import ECHO, ORIGIN, TOKEN, check, raises, run_checks
from replicate.exceptions import ModelError, ReplicateError

replicate.default_client.poll_interval = 0.05


def text(output):
    """What a file holds; without TLS the client hands out URLs as they are."""
    with urllib.request.urlopen(output) as response:
        return response.read().decode()


@check
def run_by_version():
    """run(): owner/name:version, files of the output"""
    output = replicate.run(ECHO, input={"text": "one", "num_outputs": 2})
    assert [text(file) for file in output] == ["one 0", "one 1"]


@check
def run_by_name():
    """run(): owner/name"""
    assert [text(file) for file in replicate.run("test/echo", input={"text": "name"})] == ["name 0"]


@check
def run_single():
    """run(): an output that is one file"""
    assert text(replicate.run("test/single", input={})) == "only one"


@check
def run_without_wait():
    """run(wait=False) polls"""
    assert text(replicate.run(ECHO, input={}, wait=False)[0]) == "hello 0"


@check
def run_longer_than_wait():
    """run(wait=1) goes on polling a prediction that takes longer"""
    output = replicate.run(ECHO, input={"steps": 15, "step_ms": 100}, wait=1)
    assert text(output[0]) == "hello 0"


@check
def run_urls():
    """run(use_file_output=False) returns URLs that need no token"""
    (url,) = replicate.run(ECHO, input={}, use_file_output=False)
    assert text(url) == "hello 0"


@check
def run_fails():
    """run() raises ModelError with the reason"""
    raises(ModelError, lambda: replicate.run("test/troubled", input={"trouble": "throw"}), "the model broke")


@check
def refused_input():
    """an invalid input raises ReplicateError with title, status and detail"""
    error = raises(ReplicateError, lambda: replicate.run(ECHO, input={"steps": "many"}), "Expected: integer")
    assert error.status == 422 and error.title == "Input validation failed"


@check
def unknown_version():
    """an unknown version"""
    error = raises(ReplicateError, lambda: replicate.predictions.create(version="f" * 64, input={}))
    assert error.status == 422 and error.title == "Invalid version or not permitted"


@check
def wrong_token():
    """a wrong token"""
    stranger = replicate.Client(api_token="wrong", base_url=ORIGIN)
    error = raises(ReplicateError, lambda: stranger.models.get("test/echo"))
    assert error.status == 401


@check
def base_urls():
    """the base URL with and without /v1"""
    for base in [ORIGIN, f"{ORIGIN}/", f"{ORIGIN}/v1", f"{ORIGIN}/v1/"]:
        client = replicate.Client(api_token=TOKEN, base_url=base)
        assert client.models.get("test/echo").name == "echo", base


@check
def streams():
    """stream(): outputs, then done; every event has an id"""
    events = list(replicate.stream(ECHO, input={"num_outputs": 3}))
    assert [event.event.value for event in events] == ["output"] * 3 + ["done"]
    assert all(event.id for event in events)
    assert events[0].data.startswith(ORIGIN)


@check
def streams_of_failures():
    """stream() of a prediction that fails"""
    def read():
        return [event for event in replicate.stream("test/troubled", input={"trouble": "throw"})]

    raises(RuntimeError, read, "the model broke")


@check
def waits_for_start():
    """stream() through heartbeats of a queued prediction"""
    busy = replicate.predictions.create(version="e" * 64, input={"steps": 120, "step_ms": 100})
    began = time.monotonic()
    events = list(replicate.stream(ECHO, input={}))
    assert [event.event.value for event in events] == ["output", "done"]
    assert time.monotonic() - began > 10, "a heartbeat was not reached"
    busy.reload()
    assert busy.status == "succeeded"


@check
def create_and_wait():
    """predictions.create(), get(), reload(), wait(), progress"""
    prediction = replicate.predictions.create(version="e" * 64, input={"steps": 10, "step_ms": 30})
    assert prediction.status == "starting"
    seen = []
    while prediction.status not in ("succeeded", "failed"):
        prediction.reload()
        if prediction.progress:
            seen.append(prediction.progress.current)
        time.sleep(0.02)
    prediction.wait()
    assert prediction.progress.percentage == 1 and prediction.progress.total == 10 and len(set(seen)) > 1
    assert replicate.predictions.get(prediction.id).output == prediction.output
    assert prediction.metrics["predict_time"] > 0


@check
def create_holds():
    """predictions.create(wait=…)"""
    assert replicate.predictions.create(version="e" * 64, input={}, wait=10).status == "succeeded"
    assert replicate.predictions.create(version="e" * 64, input={}, wait=True).status == "succeeded"


@check
def cancels():
    """cancel()"""
    prediction = replicate.predictions.create(model="test/echo", input={"steps": 1000, "step_ms": 10})
    prediction.cancel()
    prediction.wait()
    assert prediction.status == "canceled"


@check
def output_iterator():
    """output_iterator() of a prediction"""
    prediction = replicate.predictions.create(version="e" * 64, input={"num_outputs": 2})
    assert len(list(prediction.output_iterator())) == 2


@check
def pages():
    """paginate(predictions.list): each once"""
    for _ in range(105):
        replicate.predictions.create(version="e" * 64, input={"steps": 0, "num_outputs": 0})
    met = [prediction.id for page in replicate.paginate(replicate.predictions.list) for prediction in page.results]
    assert len(met) == len(set(met)) > 100


@check
def models():
    """models.get(), .list(), .search(), versions, latest_version, default_example"""
    model = replicate.models.get("test/echo")
    assert model.latest_version.id == "e" * 64
    assert model.default_example is None or model.default_example.id
    assert [version.id for version in model.versions.list()] == ["e" * 64]
    version = model.versions.get("e" * 64)
    assert "text" in version.openapi_schema["components"]["schemas"]["Input"]["properties"]
    assert any(other.name == "echo" for other in replicate.models.list())
    assert replicate.models.search("echo").results[0].name == "echo"


@check
def files():
    """files.create(), .get(), .list(), .delete(), and a file as input"""
    file = replicate.files.create(io.BytesIO(b"some bytes"), filename="notes.txt", metadata={"k": "v"})
    assert file.name == "notes.txt" and file.size == 10 and file.metadata == {"k": "v"}
    assert replicate.files.get(file.id).etag == file.etag
    assert any(other.id == file.id for other in replicate.files.list())
    replicate.files.delete(file.id)
    error = raises(ReplicateError, lambda: replicate.files.get(file.id))
    assert error.status == 404


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


@check
def file_inputs():
    """an open file as input: uploaded, and as a data URL"""
    for strategy in ("url", "base64"):
        picture = io.BytesIO(PIXEL)
        picture.name = "pixel.png"
        (output,) = replicate.run("test/painting", input={"image": picture}, file_encoding_strategy=strategy)
        assert urllib.request.urlopen(output).read()[:8] == PIXEL[:8], strategy


@check
def deployments():
    """deployments: create, list, get, update, run, delete"""
    made = replicate.deployments.create(
        name="py-one", model="test/echo", version="e" * 64, hardware="cpu", min_instances=0, max_instances=1
    )
    assert made.current_release.number == 1
    name = f"{made.owner}/py-one"
    assert replicate.deployments.get(name).current_release.configuration.max_instances == 1
    assert any(other.name == "py-one" for other in replicate.deployments.list())
    changed = replicate.deployments.update(made.owner, "py-one", max_instances=2)
    assert changed.current_release.number == 2
    prediction = made.predictions.create({"text": "deployed"})
    prediction.wait()
    assert prediction.status == "succeeded"
    assert replicate.deployments.delete(made.owner, "py-one")


@check
def small_resources():
    """account, hardware, collections, trainings, the webhook secret"""
    assert replicate.default_client.accounts.current().username
    assert any(hardware.sku == "cpu" for hardware in replicate.hardware.list())
    collections = replicate.collections.list()
    if collections.results:
        assert replicate.collections.get(collections.results[0].slug).name
    assert replicate.trainings.list().results == []
    assert replicate.webhooks.default.secret().key.startswith("whsec_")


@check
async def asynchronous():
    """async_run, async_stream, async_create, async_get, async_cancel, async_list"""
    client = replicate.Client(api_token=TOKEN, base_url=ORIGIN)
    (file,) = await client.async_run(ECHO, input={"text": "async"})
    assert text(file) == "async 0"
    names = [event.event.value async for event in await client.async_stream(ECHO, input={})]
    assert names == ["output", "done"]
    prediction = await client.predictions.async_create(version="e" * 64, input={"steps": 1000, "step_ms": 10})
    await client.predictions.async_cancel(prediction.id)
    await prediction.async_wait()
    assert (await client.predictions.async_get(prediction.id)).status == "canceled"
    assert (await client.predictions.async_list()).results
    several = [client.async_run(ECHO, input={"text": str(index)}) for index in range(5)]
    outputs = await asyncio.gather(*several)
    assert [text(file) for (file,) in outputs] == [f"{index} 0" for index in range(5)]


run_checks()
