package apiserver

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

// logged is a log that tests read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) has(part string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !strings.Contains(l.text.String(), part) {
		return fmt.Errorf("%q is not in the log:\n%s", part, l.text.String())
	}
	return nil
}

// putLarge makes n bundles of a MiB each.
func (l *live) putLarge(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		large := configMap("large")
		large["data"] = map[string]any{"text": strings.Repeat("x", 1<<20)}
		name := fmt.Sprintf("large-%d", i)
		l.put(t, v1alpha1.KeyBundles+name, bundle(name, large))
	}
}

func TestAWatchWhoseClientStopsReadingEnds(t *testing.T) {
	const large = 12 // MiB, more than all buffers between a server and its client
	for name, config := range map[string]func(*live, *testing.T) *rest.Config{
		"on a stream of HTTP/2":      func(l *live, t *testing.T) *rest.Config { return l.user(t, "ann", v1alpha1.RoleViewer) },
		"on a connection of its own": func(l *live, _ *testing.T) *rest.Config { return l.local() },
	} {
		t.Run(name, func(t *testing.T) {
			var log logged
			l := start(t, func(c *Config) {
				c.Timing.Stall = 200 * time.Millisecond
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			c := config(l, t)
			stuck, err := httpClient(t, c).Get(c.Host + "/apis/fleet.hanse.dev/v1alpha1/bundles?watch=1&resourceVersion=1")
			if err != nil || stuck.StatusCode != http.StatusOK {
				t.Fatalf("%v %v", stuck, err)
			}
			defer stuck.Body.Close()
			l.putLarge(t, large)
			eventually(t, func() error { return log.has("a client stopped reading") })
			for _, part := range []string{"/bundles", "asker="} {
				if err := log.has(part); err != nil {
					t.Error(err)
				}
			}
			if read, err := io.Copy(io.Discard, stuck.Body); err == nil || read > large<<20 {
				t.Errorf("it went on: %d bytes, %v", read, err)
			}
		})
	}
}

// hurried is a client that takes nothing until it is hung up on.
type hurried struct {
	http.ResponseWriter
	late chan struct{}
}

func (h hurried) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		close(h.late)
	}
	return nil
}

func (h hurried) Write([]byte) (int, error) {
	<-h.late
	return 0, os.ErrDeadlineExceeded
}

func TestAnEndpointMayHaveMorePatienceThanWatches(t *testing.T) {
	for path, most := range map[string]time.Duration{"/streams": time.Minute, "/patient/": time.Hour} {
		virtual.Test(t, func(t *testing.T) {
			s := &Server{shares: newShares(time.Minute), config: Config{
				Timing: kvstorage.Timing{Stall: time.Minute}, Logger: slog.New(slog.DiscardHandler),
				Endpoints: []Endpoint{{Path: "/streams", Streams: true}, {Path: "/patient/", Streams: true, Patience: time.Hour}},
			}}
			begun := time.Now()
			h := s.unstalled(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("x")) }),
				func(*http.Request, *apirequest.RequestInfo) bool { return true })
			r := httptest.NewRequest(http.MethodGet, path, nil)
			h.ServeHTTP(hurried{httptest.NewRecorder(), make(chan struct{})}, r.WithContext(apirequest.WithRequestInfo(r.Context(), &apirequest.RequestInfo{})))
			if took := time.Since(begun); took != most {
				t.Errorf("%s: hung up on after %s", path, took)
			}
		})
	}
}

// prompt is a client that takes all at once, and says whether it was hung up on.
type prompt struct {
	http.ResponseWriter
	hungUp bool
}

func (p *prompt) SetWriteDeadline(t time.Time) error {
	p.hungUp = p.hungUp || !t.IsZero() && t.Before(time.Now())
	return nil
}

func TestAWatchThatHasNothingToTellGoesOn(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		s := &Server{shares: newShares(time.Minute), config: Config{Timing: kvstorage.Timing{Stall: time.Minute}, Logger: slog.New(slog.DiscardHandler)}}
		seldom := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				time.Sleep(time.Hour)
				w.Write([]byte("a bookmark"))
				w.(http.Flusher).Flush()
			}
		})
		client, r := &prompt{ResponseWriter: httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/bundles", nil)
		s.unstalled(seldom, func(*http.Request, *apirequest.RequestInfo) bool { return true }).
			ServeHTTP(client, r.WithContext(apirequest.WithRequestInfo(r.Context(), &apirequest.RequestInfo{})))
		if client.hungUp {
			t.Error("it was hung up on, though it took each piece at once")
		}
	})
}

func TestStuckWatchesMakeWayForTheOthersOfTheirAsker(t *testing.T) {
	l := start(t, func(c *Config) { c.Timing.Stall = time.Hour })
	const objects = 3
	l.putLarge(t, objects)
	local := l.local()
	for range roomBytes/(3<<20) + 2 { // each has its first object under way; there is room for half of them
		c := httpClient(t, l.local()) // with a connection of its own
		stuck, err := c.Get(local.Host + "/apis/fleet.hanse.dev/v1alpha1/bundles?watch=1")
		if err != nil || stuck.StatusCode != http.StatusOK {
			t.Fatalf("%v %v", stuck, err)
		}
		defer stuck.Body.Close()
	}
	w, err := client(t, local, "bundles").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for i := range objects {
		expect(t, w, watch.Added, fmt.Sprintf("large-%d", i))
	}
}

type splice = runtime.Splice // a field of that name would hide the method

// noCopy is a buffer that nothing is copied to.
type noCopy struct {
	splice
	t *testing.T
}

func (n noCopy) Write(b []byte) (int, error) {
	n.t.Errorf("%d bytes were copied", len(b))
	return len(b), nil
}

func TestAnEventIsNotCopiedToTheBufferOfItsWatch(t *testing.T) {
	scheme, err := fullScheme()
	if err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme)
	info, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	buffer := noCopy{runtime.NewSpliceBuffer(), t}
	encoder := splicing{codecs}.EncoderForVersion(info.StreamSerializer.Serializer, v1alpha1.SchemeGroupVersion)
	if err := encoder.Encode(&metav1.WatchEvent{Type: "ADDED", Object: runtime.RawExtension{Raw: []byte("{}")}}, buffer); err != nil {
		t.Fatal(err)
	}
	if text := string(buffer.Bytes()); !strings.Contains(text, "ADDED") {
		t.Errorf("got %q", text)
	}
}
