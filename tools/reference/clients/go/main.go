// The unmodified replicate-go against a running server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/replicate/replicate-go"
)

var (
	origin  = os.Getenv("DARKROOM_ORIGIN")
	version = strings.Repeat("e", 64)
	echo    = "test/echo:" + version
	client  = connect(origin + "/v1")
	ctx     = context.Background()
)

type input = replicate.PredictionInput

func connect(base string) *replicate.Client {
	client, err := replicate.NewClient(replicate.WithTokenFromEnv(), replicate.WithBaseURL(base))
	if err != nil {
		panic(err)
	}
	return client
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func expect(holds bool, what string, values ...any) {
	if !holds {
		panic(fmt.Sprintf(what, values...))
	}
}

func fails(err error, words string) {
	expect(err != nil && strings.Contains(err.Error(), words), "expected %q, got %v", words, err)
}

func read(body io.Reader) string { return string(must(io.ReadAll(body))) }

func fetch(url string) string {
	response := must(http.Get(url))
	defer response.Body.Close()
	return read(response.Body)
}

func start(id string, given input) *replicate.Prediction {
	return must(client.CreatePrediction(ctx, id, given, nil, true))
}

var checks = []struct {
	name string
	run  func()
}{
	{"Run: owner/name:version and owner/name", func() {
		for _, name := range []string{echo, "test/echo"} {
			output := must(client.Run(ctx, name, input{"text": "go", "num_outputs": 2}, nil)).([]any)
			expect(len(output) == 2 && fetch(output[1].(string)) == "go 1", "%v", output)
		}
	}},
	{"RunWithOptions: hold, and files of the output", func() {
		options := []replicate.RunOption{replicate.WithBlockUntilDone(), replicate.WithFileOutput()}
		output := must(client.RunWithOptions(ctx, echo, input{}, nil, options...)).([]any)
		expect(read(output[0].(*replicate.FileOutput)) == "hello 0", "%v", output)
	}},
	{"Run of a failure: a ModelError with the reason", func() {
		_, err := client.Run(ctx, "test/troubled", input{"trouble": "throw"}, nil)
		var failure *replicate.ModelError
		expect(errors.As(err, &failure), "%v", err)
		fails(err, "the model broke")
	}},
	{"Wait and WaitAsync, progress", func() {
		prediction := start(version, input{"steps": 8, "step_ms": 60})
		seen := 0
		states, errs := client.WaitAsync(ctx, prediction, replicate.WithPollingInterval(20*time.Millisecond))
		var err error
		for waiting := true; waiting; {
			select {
			case state := <-states:
				if progress := state.Progress(); progress != nil && progress.Current > 0 {
					seen++
				}
			case err = <-errs:
				waiting = false
			}
		}
		expect(err == nil && seen > 1, "%v; progress was seen %d times", err, seen)
		expect(prediction.Status == replicate.Succeeded && prediction.Metrics != nil, "%+v", prediction)
		expect(prediction.Metrics.PredictTime != nil && *prediction.Metrics.PredictTime > 0, "no metrics")
	}},
	{"CancelPrediction, GetPrediction", func() {
		prediction := start(version, input{"steps": 1000, "step_ms": 10})
		must(client.CancelPrediction(ctx, prediction.ID))
		interval := replicate.WithPollingInterval(20 * time.Millisecond)
		expect(client.Wait(ctx, prediction, interval) == nil && prediction.Status == replicate.Canceled, "not canceled")
		expect(must(client.GetPrediction(ctx, prediction.ID)).Error == nil, "an error of a canceled prediction")
	}},
	{"ListPredictions", func() {
		page := must(client.ListPredictions(ctx))
		expect(len(page.Results) > 0, "no predictions")
	}},
	{"StreamPredictionFiles", func() {
		stream := must(client.StreamPredictionFiles(start(version, input{"num_outputs": 3, "output_ms": 100})))
		defer stream.Close()
		for index := range 3 {
			file := must(stream.NextFile(ctx))
			text := read(must(file.Body(ctx)))
			expect(text == fmt.Sprintf("hello %d", index), "%q", text)
		}
		_, err := stream.NextFile(ctx)
		expect(err == io.EOF, "%v", err)
	}},
	{"StreamPredictionText: the URLs one after the other", func() {
		stream := must(client.StreamPredictionText(ctx, start(version, input{"num_outputs": 2})))
		defer stream.Close()
		text := read(stream)
		expect(strings.Count(text, origin) == 2, "%q", text)
	}},
	{"StreamPrediction: events, and an error", func() {
		events, _ := client.StreamPrediction(ctx, start(strings.Repeat("2", 64), input{"trouble": "throw"}))
		types := []string{}
		for event := range drain(events) {
			types = append(types, event.Type)
		}
		expect(strings.Join(types, " ") == "output error done", "%v", types)
	}},
	{"a stream that breaks: again with Last-Event-ID, nothing lost, nothing twice", brokenStream},
	{"a stream that breaks after heartbeats", streamAfterHeartbeats},
	{"models: get, list, search, versions", func() {
		expect(must(client.GetModel(ctx, "test", "echo")).LatestVersion.ID == version, "another version")
		expect(len(must(client.ListModels(ctx)).Results) > 5, "few models")
		expect(must(client.SearchModels(ctx, "echo")).Results[0].Name == "echo", "another model")
		expect(len(must(client.ListModelVersions(ctx, "test", "echo")).Results) == 1, "not one version")
		expect(must(client.GetModelVersion(ctx, "test", "echo", version)).ID == version, "another version")
		_, err := client.GetModel(ctx, "test", "nothing")
		fails(err, "could not be found")
	}},
	{"files: create, get, list, delete; as input", func() {
		options := &replicate.CreateFileOptions{Filename: "notes.txt", ContentType: "text/plain", Metadata: map[string]string{"k": "v"}}
		file := must(client.CreateFileFromBytes(ctx, []byte("some bytes"), options))
		expect(file.Name == "notes.txt" && file.Size == 10 && file.Metadata["k"] == "v", "%+v", file)
		expect(must(client.GetFile(ctx, file.ID)).Etag == file.Etag, "another file")
		expect(len(must(client.ListFiles(ctx)).Results) > 0, "no files")
		output := must(client.Run(ctx, echo, input{"image": file}, nil)).([]any)
		expect(len(output) == 1, "%v", output)
		expect(client.DeleteFile(ctx, file.ID) == nil, "not deleted")
		_, err := client.GetFile(ctx, file.ID)
		fails(err, "could not be found")
	}},
	{"deployments: create, get, list, update, run, delete", func() {
		made := must(client.CreateDeployment(ctx, replicate.CreateDeploymentOptions{
			Name: "go", Model: "test/echo", Version: version, Hardware: "cpu", MinInstances: 0, MaxInstances: 1,
		}))
		expect(made.CurrentRelease.Number == 1, "%+v", made)
		must(client.GetDeployment(ctx, made.Owner, "go"))
		expect(len(must(client.ListDeployments(ctx)).Results) > 0, "no deployments")
		two := 2
		changed := must(client.UpdateDeployment(ctx, made.Owner, "go", replicate.UpdateDeploymentOptions{MaxInstances: &two}))
		expect(changed.CurrentRelease.Number == 2, "%+v", changed)
		prediction := must(client.CreatePredictionWithDeployment(ctx, made.Owner, "go", input{}, nil, false))
		expect(client.Wait(ctx, prediction, replicate.WithPollingInterval(20*time.Millisecond)) == nil, "not run")
		expect(client.DeleteDeployment(ctx, made.Owner, "go") == nil, "not deleted")
	}},
	{"account, hardware, collections, trainings, the webhook secret", func() {
		expect(must(client.GetCurrentAccount(ctx)).Username != "", "no name")
		expect(len(*must(client.ListHardware(ctx))) > 0, "no hardware")
		for _, collection := range must(client.ListCollections(ctx)).Results {
			must(client.GetCollection(ctx, collection.Slug))
		}
		expect(len(must(client.ListTrainings(ctx)).Results) == 0, "trainings")
		expect(strings.HasPrefix(must(client.GetDefaultWebhookSecret(ctx)).Key, "whsec_"), "no secret")
	}},
	{"ValidateWebhookRequest of a webhook that came", webhooks},
	{"what is refused: the detail", func() {
		_, err := client.Run(ctx, echo, input{"steps": "many"}, nil)
		fails(err, "Expected: integer")
		stranger := must(replicate.NewClient(replicate.WithToken("wrong"), replicate.WithBaseURL(origin+"/v1")))
		_, err = stranger.GetCurrentAccount(ctx)
		fails(err, "authentication token")
	}},
	{"the base URL without /v1", func() {
		expect(must(connect(origin).GetModel(ctx, "test", "echo")).Name == "echo", "another model")
	}},
}

func drain(events <-chan replicate.SSEEvent) <-chan replicate.SSEEvent {
	until := make(chan replicate.SSEEvent)
	go func() {
		defer close(until)
		for event := range events {
			until <- event
			if event.Type == "done" {
				return
			}
		}
	}()
	return until
}

// breaker stands between client and server, and ends every stream after so many bytes in good order.
func breaker(after int) (*httptestServer, *atomic.Int32, *[]string) {
	target := must(url.Parse(origin))
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	var streams atomic.Int32
	resumed := []string{}
	proxy.ModifyResponse = func(response *http.Response) error {
		if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
			resumed = append(resumed, response.Request.Header.Get("Last-Event-ID"))
			if streams.Add(1) == 1 {
				response.Body = &cut{ReadCloser: response.Body, left: after}
			}
		}
		return nil
	}
	return serve(proxy), &streams, &resumed
}

type cut struct {
	io.ReadCloser
	left int
}

func (c *cut) Read(buffer []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.EOF
	}
	if len(buffer) > c.left {
		buffer = buffer[:c.left]
	}
	count, err := c.ReadCloser.Read(buffer)
	c.left -= count
	return count, err
}

type httptestServer struct {
	listener net.Listener
	origin   string
}

func serve(handler http.Handler) *httptestServer {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	go http.Serve(listener, handler)
	return &httptestServer{listener, "http://" + listener.Addr().String()}
}

func throughBreaker(after int, given input) (string, []string) {
	server, _, resumed := breaker(after)
	defer server.listener.Close()
	prediction := start(version, given)
	prediction.URLs["stream"] = strings.Replace(prediction.URLs["stream"], origin, server.origin, 1)
	stream := must(client.StreamPredictionFiles(prediction))
	defer stream.Close()
	texts := []string{}
	for {
		file, err := stream.NextFile(ctx)
		if err == io.EOF {
			return strings.Join(texts, ", "), *resumed
		}
		texts = append(texts, read(must(must(file, err).Body(ctx))))
	}
}

func brokenStream() {
	// One event of about 180 bytes has passed, and some of the next.
	text, resumed := throughBreaker(300, input{"num_outputs": 4, "output_ms": 200})
	expect(text == "hello 0, hello 1, hello 2, hello 3", "%q", text)
	expect(len(resumed) >= 2 && resumed[0] == "" && resumed[1] != "", "%q", resumed)
}

func streamAfterHeartbeats() {
	busy := start(version, input{"steps": 110, "step_ms": 100})
	text, _ := throughBreaker(60, input{"num_outputs": 2})
	expect(text == "hello 0, hello 1", "%q", text)
	must(client.GetPrediction(ctx, busy.ID))
}

func webhooks() {
	secret := must(client.GetDefaultWebhookSecret(ctx))
	valid := make(chan bool, 1)
	server := serve(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		ok, err := replicate.ValidateWebhookRequest(request, *secret)
		valid <- ok && err == nil
		writer.WriteHeader(http.StatusNoContent)
	}))
	defer server.listener.Close()
	webhook := &replicate.Webhook{URL: server.origin, Events: []replicate.WebhookEventType{replicate.WebhookEventCompleted}}
	prediction := must(client.CreatePrediction(ctx, version, input{}, webhook, false))
	select {
	case ok := <-valid:
		expect(ok, "the signature of %s does not hold", prediction.ID)
	case <-time.After(20 * time.Second):
		panic("no webhook came")
	}
}

func passes(name string, run func()) bool {
	outcome := make(chan any, 1)
	go func() {
		defer func() { outcome <- recover() }()
		run()
	}()
	var failure any = "not within a minute"
	select {
	case failure = <-outcome:
	case <-time.After(time.Minute):
	}
	if failure != nil {
		fmt.Printf("FAIL %s\n     %v\n", name, failure)
		return false
	}
	fmt.Printf("ok   %s\n", name)
	return true
}

func main() {
	failed := 0
	for _, check := range checks {
		if !passes(check.name, check.run) {
			failed++
		}
	}
	fmt.Printf("%d passed, %d failed\n", len(checks)-failed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
