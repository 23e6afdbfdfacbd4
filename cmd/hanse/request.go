package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/urfave/cli/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/internal/pause"
)

// request is one request to a member.
type request struct {
	verb, path string
	query      url.Values
	accept     string
	body       []byte
	bodyType   string
}

const (
	typeJSON  = "application/json"
	typeApply = "application/apply-patch+yaml"
	typeMerge = "application/merge-patch+json"
	// typeTable asks for the columns that the server chose for the kind.
	typeTable = "application/json;as=Table;v=v1;g=meta.k8s.io, application/json"
	// typeMetadata asks for no more than the metadata: what is not needed may be megabytes.
	typeMetadata = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io, application/json"
)

func (f *fleet) prepare(r request) *rest.Request {
	if r.accept == "" {
		r.accept = typeJSON
	}
	req := f.rest.Verb(r.verb).AbsPath(r.path).SetHeader("Accept", r.accept).MaxRetries(0)
	for key, values := range r.query {
		for _, v := range values {
			req.Param(key, v)
		}
	}
	if r.body != nil {
		if r.bodyType == "" {
			r.bodyType = typeJSON
		}
		req.Body(r.body).SetHeader("Content-Type", r.bodyType)
	}
	return req
}

func (f *fleet) send(ctx context.Context, r request) (body []byte, err error) {
	err = f.patiently(ctx, func() error {
		result := f.prepare(r).Do(ctx)
		if err := result.Error(); err != nil { // unlike Raw's, with what the API said
			return err
		}
		body, err = result.Raw()
		return err
	})
	return body, err
}

// patiently asks, and asks again as long as the member is not ready for it: then nothing was done. It says once what is waited for.
func (f *fleet) patiently(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		words, pause := f.notYet(err)
		if pause == 0 {
			return err
		}
		f.told.Do(func() {
			if f.talk != nil {
				fmt.Fprintln(f.talk, escaped(words))
			}
		})
		if !wait(ctx, pause) {
			return err
		}
	}
}

// notYet says of a refusal that it may be over in a moment: in which words, and after what time to ask again; 0 when it is final.
func (f *fleet) notYet(err error) (words string, pause time.Duration) {
	switch {
	case hasCause(err, causeStarting):
		return "the member at " + f.server + " is starting; waiting for it", startingEvery
	case apierrors.IsTooManyRequests(err):
		return "the member at " + f.server + " is asked for more at once than it gives one; waiting for a turn", between
	}
	return "", 0
}

// read asks for something, and decodes the answer's JSON unless into is nil. The JSON is returned as it came.
func (f *fleet) read(ctx context.Context, r request, into any) ([]byte, error) {
	r.verb = "GET"
	body, err := f.send(ctx, r)
	if err != nil {
		return nil, f.explain(ctx, r, err)
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			return nil, &failure{code: exitError, why: f.server + " answers what is no JSON of the fleet: " + err.Error()}
		}
	}
	return body, nil
}

// Without quorum nothing was written, so a write is repeated until its time is up, at this pace.
const (
	between   = 500 * time.Millisecond
	lastChunk = 300 * time.Millisecond // less time than this is not worth another attempt: its outcome would be unknown
)

// write sends something that changes the fleet. Without quorum it is repeated until ctx ends; the failure then
// is exitNoQuorum. When the outcome cannot be known the failure is exitUncertain.
func (f *fleet) write(ctx context.Context, r request) ([]byte, error) {
	for {
		body, err := f.attempt(ctx, r)
		if err == nil {
			return body, nil
		}
		if !hasCause(err, causeNoQuorum) || !wait(ctx, between) {
			return nil, f.explain(ctx, r, err)
		}
	}
}

// merge has a member merge a patch into the object of a request.
func (f *fleet) merge(ctx context.Context, r request, patch any) ([]byte, error) {
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	r.verb, r.body, r.bodyType = "PATCH", body, typeMerge
	return f.write(ctx, r)
}

// attempt gives the member a little less time than there is, so that it is the member that gives up, and says how.
func (f *fleet) attempt(ctx context.Context, r request) ([]byte, error) {
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		query := url.Values{}
		for k, v := range r.query {
			query[k] = v
		}
		query.Set("timeout", (left - min(left/10, time.Second)).Round(time.Millisecond).String())
		r.query = query
	}
	return f.send(ctx, r)
}

// wait returns false when ctx ends, or is about to, before the time is over.
func wait(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d+lastChunk {
		return false
	}
	return pause.For(ctx, d)
}

// stream opens a watch. The caller closes it.
func (f *fleet) stream(ctx context.Context, r request) (io.ReadCloser, error) {
	r.verb = "GET"
	r.query.Set("watch", "true")
	var body io.ReadCloser
	err := f.patiently(ctx, func() (err error) {
		body, err = f.prepare(r).Stream(ctx)
		return err
	})
	if err != nil {
		return nil, f.explain(ctx, r, err)
	}
	return body, nil
}

// event is one line of a watch.
type event struct {
	Type   string          `json:"type"` // ADDED, MODIFIED, DELETED, BOOKMARK, ERROR
	Object json.RawMessage `json:"object"`
}

// errExpired means that a watch cannot go on from where it was: list again.
var errExpired = errors.New("the member's history no longer reaches back so far")

// events calls do for each event of a watch, until the watch ends (nil), do fails, or ctx ends.
func (f *fleet) events(ctx context.Context, r request, do func(event) error) error {
	body, err := f.stream(ctx, r)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	for {
		var e event
		if err := lines.Decode(&e); err != nil {
			return ctx.Err() // the member ended the watch, as it may at any time
		}
		if e.Type == "ERROR" {
			return watchError(e.Object)
		}
		if err := do(e); err != nil {
			return err
		}
	}
}

func watchError(object []byte) error {
	var status metav1.Status
	if err := json.Unmarshal(object, &status); err != nil {
		return err
	}
	if status.Code == 410 {
		return errExpired
	}
	return &apierrors.StatusError{ErrStatus: status}
}

// post asks a member, as JSON, for what is no object of the fleet, and returns its answer and who it is.
func post(c *cli.Context, path string, question any) (answer []byte, server string, err error) {
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return nil, "", err
	}
	body, err := json.Marshal(question)
	if err != nil {
		return nil, f.server, err
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	answer, err = f.write(ctx, request{verb: "POST", path: path, body: body})
	return answer, f.server, err
}
