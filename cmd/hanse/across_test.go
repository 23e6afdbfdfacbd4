package main

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// As many tunnels as a person may have are fewer than the clusters; each ends when its cluster has answered.
func TestMoreClustersThanTunnelsAnswerInTheOrderOfTheirNames(t *testing.T) {
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
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	if got.code != exitOK || len(lines) != clusters+1 || !slices.IsSorted(lines[1:]) || !strings.HasPrefix(lines[1], "c00") {
		t.Errorf("%+v", got)
	}
}

func TestASlowClusterHoldsUpOthersForAStepOnly(t *testing.T) {
	a, b, c := &reply{cluster: "a"}, &reply{cluster: "b"}, &reply{cluster: "c"}
	answered, over, printed := make(chan *reply), make(chan time.Time), make(chan string)
	go func() {
		defer close(printed)
		for r := range inOrder([]*reply{a, b, c}, answered, over) {
			printed <- r.cluster
		}
	}()
	answered <- c
	answered <- b // nothing is printed: a may come in time
	over <- time.Time{}
	var order []string
	for range 2 {
		order = append(order, <-printed)
	}
	answered <- a
	for name := range printed {
		order = append(order, name)
	}
	if !slices.Equal(order, []string{"b", "c", "a"}) {
		t.Errorf("printed %v", order)
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
