"""The unmodified `replicate` 2.0.0 beta for Python against a running server."""

import io
import socket
import threading
import time
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import replicate
from checks import ECHO, ORIGIN, TOKEN, check, raises, run_checks
from replicate.exceptions import ModelError

warnings.simplefilter("ignore")


def read(output):
    """What a file holds; without TLS the client hands out URLs as they are."""
    with urllib.request.urlopen(str(output)) as response:
        return response.read()


client = replicate.Replicate(bearer_token=TOKEN, base_url=f"{ORIGIN}/v1")


@check
def run_by_version():
    """run(): owner/name:version, files of the output"""
    files = client.run(ECHO, input={"text": "two", "num_outputs": 2})
    assert [read(file) for file in files] == [b"two 0", b"two 1"]


@check
def run_by_name():
    """run(): owner/name, and one file"""
    assert read(client.run("test/echo", input={})[0]) == b"hello 0"
    assert read(client.run("test/single", input={})) == b"only one"


@check
def run_polls():
    """run(wait=1) of a prediction that takes longer, run(wait=False)"""
    assert read(client.run(ECHO, input={"steps": 15, "step_ms": 100}, wait=1)[0]) == b"hello 0"
    assert read(client.run(ECHO, input={}, wait=False)[0]) == b"hello 0"


@check
def run_fails():
    """run() raises ModelError with the reason"""
    call = lambda: client.run("test/troubled", input={"trouble": "throw"})
    raises(ModelError, call, "the model broke")


@check
def use():
    """use(): the function of a model, its schema and its output"""
    model = replicate.use("test/echo")
    assert [Path(file).read_bytes() for file in model(text="used")] == [b"used 0"]
    assert "text" in model.openapi_schema()["components"]["schemas"]["Input"]["properties"]
    run = replicate.use(ECHO).create(text="run")
    assert len(run.output()) == 1 and "steps 2" in run.logs()


@check
def use_streaming():
    """use(streaming=True) and stream(): outputs as they come"""
    assert len(list(replicate.use(ECHO, streaming=True)(num_outputs=3))) == 3
    assert len(list(replicate.stream(ECHO, input={"num_outputs": 2}))) == 2


@check
async def asynchronous():
    """AsyncReplicate: run, predictions, use"""
    async with replicate.AsyncReplicate(bearer_token=TOKEN, base_url=f"{ORIGIN}/v1") as other:
        (file,) = await other.run(ECHO, input={"text": "async"})
        assert read(file) == b"async 0"
        prediction = await other.predictions.create(version="e" * 64, input={})
        assert (await other.predictions.wait(prediction.id)).status == "succeeded"
        met = [item.id async for item in await other.predictions.list()]
        assert prediction.id in met
    assert len(await replicate.use("test/echo", use_async=True)(text="async")) == 1


@check
def predictions():
    """predictions: create with prefer, get, wait, cancel"""
    assert client.predictions.create(version="e" * 64, input={}, prefer="wait=10").status == "succeeded"
    prediction = client.predictions.create(version="e" * 64, input={"steps": 1000, "step_ms": 10})
    client.predictions.cancel(prediction_id=prediction.id)
    assert client.predictions.wait(prediction.id).status == "canceled"
    assert client.predictions.get(prediction_id=prediction.id).urls.get.startswith(ORIGIN)


@check
def cancels_after():
    """predictions.create(cancel_after=…): the deadline"""
    prediction = client.predictions.create(
        version="e" * 64, input={"steps": 1000, "step_ms": 10}, cancel_after="5s"
    )
    assert prediction.deadline is not None
    assert client.predictions.wait(prediction.id).status in ("canceled", "aborted")


@check
def pages():
    """the iterator over all predictions meets each once"""
    for _ in range(105):
        client.predictions.create(version="e" * 64, input={"steps": 0, "num_outputs": 0})
    met = [prediction.id for prediction in client.predictions.list()]
    assert len(met) == len(set(met)) > 100


@check
def errors():
    """errors by status: 401, 404, 422"""
    stranger = replicate.Replicate(bearer_token="wrong", base_url=f"{ORIGIN}/v1")
    raises(replicate.AuthenticationError, stranger.account.get)
    raises(replicate.NotFoundError, lambda: client.models.get(model_owner="test", model_name="nothing"))
    call = lambda: client.predictions.create(version=ECHO, input={"steps": "many"})
    raises(replicate.UnprocessableEntityError, call, "Expected: integer")


@check
def models():
    """models: get, list, search, versions, readme, examples"""
    model = client.models.get(model_owner="test", model_name="echo")
    assert model.name == "echo"
    names = [other.name for other in client.models.list()]
    assert "echo" in names
    found = client.models.search(body="echo")
    assert [other.name for other in found.results][0] == "echo"
    versions = client.models.versions.list(model_owner="test", model_name="echo")
    assert [version.id for version in versions.results] == ["e" * 64]
    assert client.models.readme.get(model_owner="rossjillian", model_name="controlnet")
    assert list(client.models.examples.list(model_owner="test", model_name="echo")) == []


@check
def search():
    """search()"""
    assert client.search(query="echo").models[0].model.name == "echo"


@check
def files():
    """files: create, get, list, delete"""
    file = client.files.create(content=b"some bytes", filename="notes.txt")
    assert file.size == 10
    assert client.files.get(file_id=file.id).checksums.sha256 == file.checksums.sha256
    assert any(other.id == file.id for other in client.files.list())
    client.files.delete(file_id=file.id)
    raises(replicate.NotFoundError, lambda: client.files.get(file_id=file.id))


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


@check
def file_inputs():
    """an open file as input: uploaded, and as a data URL"""
    for strategy in ("url", "base64"):
        (output,) = client.run(
            "test/painting", input={"image": io.BytesIO(PIXEL)}, file_encoding_strategy=strategy
        )
        assert read(output)[:8] == PIXEL[:8], strategy


@check
def deployments():
    """deployments: create, get, list, update, run, delete"""
    made = client.deployments.create(
        name="py-two", model="test/echo", version="e" * 64, hardware="cpu", min_instances=0, max_instances=1
    )
    place = {"deployment_owner": made.owner, "deployment_name": "py-two"}
    assert client.deployments.get(**place).current_release.number == 1
    assert any(other.name == "py-two" for other in client.deployments.list())
    assert client.deployments.update(**place, max_instances=2).current_release.number == 2
    prediction = client.deployments.predictions.create(**place, input={}, prefer="wait")
    assert prediction.status == "succeeded"
    client.deployments.delete(**place)


@check
def small_resources():
    """account, hardware, collections, trainings, the webhook secret"""
    assert client.account.get().username
    assert any(hardware.sku == "cpu" for hardware in client.hardware.list())
    for collection in client.collections.list():
        assert client.collections.get(collection_slug=collection.slug).models is not None
    assert list(client.trainings.list()) == []
    assert client.webhooks.default.secret.get().key.startswith("whsec_")


@check
def retries():
    """retries: what no repetition cures is sent once (x-should-retry), a create whose connection breaks runs once"""
    counter = Counter()
    counted = replicate.Replicate(bearer_token=TOKEN, base_url=f"{counter.origin}/v1")
    raises(replicate.APIStatusError, lambda: counted.predictions.create(version=ECHO, input={"steps": "x"}))
    assert counter.requests == 1, counter.requests
    before = {prediction.id for prediction in client.predictions.list()}
    counter.requests, counter.drop = 0, 1
    held = {"text": "resent", "steps": 20, "step_ms": 100}
    prediction = counted.predictions.create(version=ECHO, input=held, prefer="wait")
    assert counter.requests == 2 and prediction.status == "succeeded", counter.requests
    after = {item.id for item in client.predictions.list()} - before
    assert after == {prediction.id}, after
    counter.close()


class Counter:
    """Between client and server: counts requests, and loses the replies of the first `drop`."""

    def __init__(self):
        self.requests = 0
        self.drop = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.requests += 1
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                if outer.drop:
                    outer.drop -= 1
                    # As when a network breaks while the reply is awaited.
                    send_and_hang_up(self.path, headers, body)
                    self.connection.close()
                    return
                answer = httpx.post(ORIGIN + self.path, headers=headers, content=body)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name not in ("transfer-encoding", "content-encoding", "connection", "date"):
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()


def send_and_hang_up(path, headers, body):
    place = urlsplit(ORIGIN)
    with socket.create_connection((place.hostname, place.port)) as connection:
        lines = [f"POST {path} HTTP/1.1", f"host: {place.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        time.sleep(0.3)


run_checks()
