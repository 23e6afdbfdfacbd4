package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

// As many tunnels as a person may have are fewer than the clusters; each ends when its cluster has answered.
// In which order they are printed is a matter of a second, and is tried below without a clock.
func TestMoreClustersThanTunnelsAllAnswer(t *testing.T) {
	const clusters = 70
	f := newFar(t, clusters)
	last := make(chan struct{})
	f.api = func(cluster string, w http.ResponseWriter, r *http.Request) {
		if cluster == "c00" {
			<-last // the first by name answers after the second
		}
		onePod(cluster, w, r)
		if cluster == "c01" && strings.HasSuffix(r.URL.Path, "/pods") {
			close(last)
		}
	}
	got := f.hanse(t.Context(), "get", "pods", "--all-clusters")
	lines := strings.Split(strings.TrimSpace(got.out), "\n")[1:]
	slices.Sort(lines)
	if lines = slices.Compact(lines); got.code != exitOK || len(lines) != clusters || !strings.HasPrefix(lines[0], "c00") {
		t.Errorf("%+v", got)
	}
}

func TestAListThatBreaksOffIsNotTakenForWhole(t *testing.T) {
	f := newFar(t, 3)
	f.api = func(cluster string, w http.ResponseWriter, r *http.Request) {
		switch {
		case cluster != "c01" || !strings.HasSuffix(r.URL.Path, "/pods"):
			onePod(cluster, w, r)
		case r.URL.Query().Get("continue") == "":
			page := podTable("web-of-c01")
			page["metadata"] = map[string]any{"continue": "more"}
			answer(w, 200, page)
		default:
			refuse(w, 500, "InternalError", "etcd is away", nil)
		}
	}
	got := f.hanse(t.Context(), "get", "pods", "--all-clusters")
	if got.code != exitDiffers || strings.Count(got.out, "web-of-") != 3 || !strings.Contains(got.talk, "2 of 3 clusters answered; not all that is in c01 is shown") ||
		!strings.Contains(got.talk, "c01: etcd is away") {
		t.Errorf("%+v", got)
	}
}

// A list of all is printed in the order of the clusters, and the first takes the request and says nothing.
func TestAClusterThatStallsDoesNotLoseTheOthers(t *testing.T) {
	f := newFar(t, 3)
	f.api = func(cluster string, w http.ResponseWriter, r *http.Request) {
		if cluster == "c00" && strings.HasSuffix(r.URL.Path, "/pods") {
			<-r.Context().Done()
			return
		}
		podByPod(5, cluster, w, r)
	}
	got := f.hanse(t.Context(), "get", "pods", "--all-clusters", "-o", "json", "--timeout", "8s")
	var list struct{ Items []any }
	if err := json.Unmarshal([]byte(got.out), &list); err != nil || got.code != exitDiffers || len(list.Items) != 10 || !strings.Contains(got.talk, "what is in c00 is not shown") {
		t.Errorf("%v, %+v", err, got)
	}
}

// The key was made a moment ago, and the log has not come to every member yet.
func TestAMemberThatHasNotHeardOfAPersonYetIsAskedAgain(t *testing.T) {
	f := newFar(t, 2)
	var asked atomic.Int32
	f.api = func(cluster string, w http.ResponseWriter, r *http.Request) {
		if cluster == "c01" && asked.Add(1) == 1 {
			refuse(w, 401, "Unauthorized", "Unauthorized", nil)
			return
		}
		onePod(cluster, w, r)
	}
	if got := f.hanse(t.Context(), "get", "pods", "--all-clusters"); got.code != exitOK || !strings.Contains(got.out, "web-of-c01") {
		t.Errorf("%+v", got)
	}
}

func TestASlowClusterHoldsUpOthersForAStepOnly(t *testing.T) {
	a, b, c := newReply(t.Context(), "a"), newReply(t.Context(), "b"), newReply(t.Context(), "c")
	asks, over, printed := asking{pages: make(chan page), over: make(chan struct{})}, make(chan time.Time), make(chan string)
	go func() {
		defer close(printed)
		for p := range inTurn([]*reply{a, b, c}, asks.pages, func() <-chan time.Time { return over }) {
			printed <- p.of.cluster + string(p.chunk)
		}
	}()
	asks.send(page{of: c, chunk: []byte("1")})
	asks.send(page{of: b, chunk: []byte("1")}) // nothing is printed: a may come in time
	over <- time.Time{}
	order := []string{<-printed}
	over <- time.Time{} // b has begun, and the rest of it does not come
	order = append(order, <-printed)
	asks.send(page{of: a, last: true})
	order = append(order, <-printed)
	asks.send(page{of: b, last: true})
	order = append(order, <-printed)
	asks.send(page{of: c, last: true})
	order = append(order, <-printed)
	if _, more := <-printed; more || !slices.Equal(order, []string{"b1", "c1", "a", "b", "c"}) {
		t.Errorf("printed %v", order)
	}
}

func TestALongListIsAskedForAsItIsPrinted(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		asks := asking{pages: make(chan page), over: make(chan struct{})}
		first, long := newReply(t.Context(), "a"), newReply(t.Context(), "b")
		read := 0
		go func() {
			for range 100 {
				read++
				asks.send(page{of: long})
			}
			asks.send(page{of: long, last: true})
		}()
		printed := 0
		for p := range inTurn([]*reply{first, long}, asks.pages, func() <-chan time.Time { return time.After(inStep) }) {
			synctest.Wait()
			if printed++; read > printed+2 {
				t.Fatalf("%d pages are read when %d are printed", read, printed)
			}
			if p.last && p.of == long {
				go asks.send(page{of: first, last: true})
			}
		}
		if read != 100 || printed != 102 {
			t.Errorf("%d pages read, %d printed", read, printed)
		}
	})
}

func TestAListOfAllIsOneInTheOrderOfTheClusters(t *testing.T) {
	for _, pods := range []int{0, 3} {
		for format, read := range map[string]func([]byte, any) error{formatJSON: json.Unmarshal, formatYAML: func(b []byte, v any) error { return yaml.UnmarshalStrict(b, v) }} {
			t.Run(fmt.Sprintf("%d in pages of one, as %s", pods, format), func(t *testing.T) {
				f := newFar(t, 3)
				f.api = func(cluster string, w http.ResponseWriter, r *http.Request) { podByPod(pods, cluster, w, r) }
				got := f.hanse(t.Context(), "get", "pods", "--all-clusters", "-o", format)
				var list map[string]any
				if err := read([]byte(got.out), &list); err != nil || got.code != exitOK {
					t.Fatalf("%v, %+v", err, got)
				}
				items := []any{}
				for i := range 3 * pods {
					items = append(items, map[string]any{"apiVersion": "v1", "kind": "Pod", "spec": map[string]any{"text": " a\n\nb: \"c\"\n"}, "metadata": map[string]any{
						"name": fmt.Sprint("web-", i%pods), "annotations": map[string]any{annotationCluster: fmt.Sprintf("c%02d", i/pods)}}})
				}
				want := map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}, "items": items}
				if diff := cmp.Diff(want, list); diff != "" {
					t.Error(diff)
				}
				var whole bytes.Buffer
				data, _ := json.Marshal(want)
				if err := map[string]func(io.Writer, []byte) error{formatJSON: printJSON, formatYAML: printYAML}[format](&whole, data); err != nil || whole.String() != got.out {
					t.Errorf("as a whole it is printed as\n%s\nand not as\n%s", &whole, got.out)
				}
			})
		}
	}
}

// podByPod answers as a cluster with so many pods, one a page.
func podByPod(pods int, cluster string, w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/pods") {
		onePod(cluster, w, r)
		return
	}
	list := map[string]any{"kind": "PodList", "apiVersion": "v1", "items": []any{}}
	at, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	if at < pods {
		list["items"] = []any{map[string]any{"metadata": map[string]any{"name": fmt.Sprint("web-", at)}, "spec": map[string]any{"text": " a\n\nb: \"c\"\n"}}}
	}
	if at+1 < pods {
		list["metadata"] = map[string]any{"continue": strconv.Itoa(at + 1)}
	}
	answer(w, 200, list)
}

func TestAListWhoseRevisionIsForgottenGoesOnFromThePresent(t *testing.T) {
	f := newFar(t, 1)
	f.api = func(cluster string, w http.ResponseWriter, r *http.Request) {
		switch page := podTable("web-" + r.URL.Query().Get("continue")); {
		case !strings.HasSuffix(r.URL.Path, "/pods"):
			onePod(cluster, w, r)
		case r.URL.Query().Get("continue") == "":
			page["metadata"] = map[string]any{"continue": "old"}
			answer(w, 200, page)
		case r.URL.Query().Get("continue") == "old":
			answer(w, 410, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, ListMeta: metav1.ListMeta{Continue: "now"}, Status: "Failure", Code: 410, Reason: metav1.StatusReasonExpired, Message: "too old"})
		default:
			answer(w, 200, page)
		}
	}
	if got := f.hanse(t.Context(), "get", "pods", "--all-clusters"); got.code != exitOK || !strings.Contains(got.out, "web-now") || strings.Contains(got.out, "web-old") {
		t.Errorf("%+v", got)
	}
}

func TestWhatOthersWroteDoesNothingToATerminal(t *testing.T) {
	f := newFar(t, 2)
	f.api = func(cluster string, w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasSuffix(r.URL.Path, "/pods"):
			onePod(cluster, w, r)
		case cluster == "c00":
			answer(w, 200, podTable("\x1b]0;title\x07\u202ex\nc01   forged\r\u009b2J"))
		default:
			refuse(w, 403, "Forbidden", "no\x1b[2J\nhanse: all is well", nil)
		}
	}
	got := f.hanse(t.Context(), "get", "pods", "--all-clusters")
	if bad := regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f\x{80}-\x{9f}\x{202e}]`); bad.MatchString(got.out + got.talk) {
		t.Errorf("%+q", []string{got.out, got.talk})
	}
	if strings.Count(got.out, "\n") != 2 || !strings.Contains(got.out, `^[]0;title^G`) || !strings.Contains(got.talk, `no^[[2J^Jhanse: all is well`) {
		t.Errorf("%+q", []string{got.out, got.talk})
	}
	if p := (paint{on: true}); escaped(p.red("x")) != p.red("x") {
		t.Error("our own colours are shown as they are written")
	}
}

// The member of the cluster is there, and its kube-apiserver takes the request and says nothing.
func TestAClusterThatSaysNothingIsGivenUp(t *testing.T) {
	for name, args := range map[string][]string{
		"get":  {"get", "pods", "--all-clusters"},
		"logs": {"logs", "--cluster", "c00", "web"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFar(t, 1)
			asked := make(chan struct{}, 10)
			f.api = func(_ string, _ http.ResponseWriter, r *http.Request) {
				asked <- struct{}{}
				<-r.Context().Done()
			}
			t.Run("by --timeout", func(t *testing.T) {
				if got := f.hanse(t.Context(), append(args, "--timeout", "300ms")...); got.code != exitError {
					t.Errorf("%+v", got)
				}
			})
			t.Run("when interrupted", func(t *testing.T) {
				for len(asked) > 0 {
					<-asked
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan heard, 1)
				go func() { ended <- f.hanse(ctx, append(args, "--timeout", "1h")...) }()
				<-asked
				cancel()
				select {
				case <-ended:
				case <-time.After(time.Minute):
					t.Fatal("it goes on")
				}
			})
		})
	}
}
