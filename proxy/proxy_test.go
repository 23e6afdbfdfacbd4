package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// member serves people who say in a header who they are, from a cluster that the handler is.
func member(t *testing.T, cluster http.HandlerFunc) *httptest.Server {
	t.Helper()
	behind := httptest.NewUnstartedServer(cluster)
	behind.EnableHTTP2 = true
	behind.StartTLS()
	t.Cleanup(behind.Close)
	p, err := New(Config{
		REST: &rest.Config{Host: behind.URL, BearerToken: "the member's", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, Fleet: "acme", Cluster: "sin", Logger: slog.New(slog.DiscardHandler),
		Person: func(r *http.Request) (Person, bool) {
			name := r.Header.Get("Test-Person")
			return Person{Name: name, UID: "u-1", Role: v1alpha1.RoleViewer, IP: "192.0.2.7"}, name != ""
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(p)
	front.EnableHTTP2 = true
	front.StartTLS()
	t.Cleanup(front.Close)
	return front
}

func ask(t *testing.T, server *httptest.Server, path string, headers http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = headers
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestTheClusterIsAskedInThePersonsNameAndInNobodyElses(t *testing.T) {
	server := member(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Authorization", "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-Scopes", "X-Remote-User", "Cookie", "X-Forwarded-For", "X-Real-Ip"} {
			fmt.Fprintf(w, "%s=%s\n", name, strings.Join(r.Header.Values(name), ","))
		}
		fmt.Fprintln(w, r.URL.RequestURI())
	})
	code, said := ask(t, server, "/cluster/api/v1/pods?limit=2&labelSelector=a%3Db", http.Header{
		"Test-Person": {"anna"}, "Authorization": {"Bearer of another"}, "Cookie": {"a=b"}, "X-Remote-User": {"root"},
		"Impersonate-User": {"root"}, "Impersonate-Group": {"system:masters"}, "Impersonate-Uid": {"1"}, "Impersonate-Extra-Scopes": {"all"},
		"X-Forwarded-For": {"198.51.100.1"}, "X-Real-Ip": {"198.51.100.1"},
	})
	want := `Authorization=Bearer the member's
Impersonate-User=hanse:anna
Impersonate-Group=hanse:acme:role:Viewer
Impersonate-Uid=u-1
Impersonate-Extra-Scopes=
X-Remote-User=
Cookie=
X-Forwarded-For=192.0.2.7
X-Real-Ip=
/api/v1/pods?limit=2&labelSelector=a%3Db
`
	if diff := cmp.Diff(want, said); diff != "" || code != http.StatusOK {
		t.Errorf("%d\n%s", code, diff)
	}
}

func TestWhoIsNobodyAndWhatLeadsNowhereIsNotPassedOn(t *testing.T) {
	server := member(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("%s was passed on", r.URL) })
	for path, headers := range map[string]http.Header{
		"/cluster/api/v1/pods":             {},
		"/cluster/../healthz":              {"Test-Person": {"anna"}},
		"/cluster/api/%2e%2e/%2e%2e/other": {"Test-Person": {"anna"}},
		"/cluster/api/..%2f..%2fother":     {"Test-Person": {"anna"}},
		"/clu%73ter/api":                   {"Test-Person": {"anna"}},
		"/cluster%2fapi":                   {"Test-Person": {"anna"}},
	} {
		if code, said := ask(t, server, path, headers); code != http.StatusForbidden && code != http.StatusBadRequest || !strings.Contains(said, `"kind":"Status"`) {
			t.Errorf("%s: %d %s", path, code, said)
		}
	}
}

func TestWhatIsEscapedStaysSo(t *testing.T) {
	server := member(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.EscapedPath()) })
	const path = "api/v1/namespaces/a/services/https:web%2Fx:443/proxy/b%20c"
	if _, said := ask(t, server, "/cluster/"+path, http.Header{"Test-Person": {"anna"}}); said != "/"+path {
		t.Errorf("%s became %s", path, said)
	}
}

func TestALogThatIsFollowedComesLineByLineAndEndsWithItsReader(t *testing.T) {
	next, ended := make(chan string), make(chan struct{})
	server := member(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for {
			select {
			case line := <-next:
				fmt.Fprintln(w, line)
				http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/cluster/log?follow=true", nil)
	r.Header.Set("Test-Person", "anna")
	go func() { next <- "first" }()
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for _, want := range []string{"first", "second", "third"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("%q, %v instead of %q", lines.Text(), lines.Err(), want)
		}
		if want != "third" {
			next <- map[string]string{"first": "second", "second": "third"}[want]
		}
	}
	cancel()
	<-ended
}

// As kubectl exec, attach, cp and port-forward do: a WebSocket first, and SPDY when that is refused. What the cluster is told of the
// protocol, and what passes afterwards, is what was sent, byte for byte, both ways at once.
func TestAnUpgradedConnectionGoesBothWays(t *testing.T) {
	const size = 1 << 20
	for protocol, asked := range map[string]string{
		"websocket": "GET /cluster/exec?command=sh HTTP/1.1\r\nSec-Websocket-Version: 13\r\nSec-Websocket-Key: a2V5\r\nSec-Websocket-Protocol: v5.channel.k8s.io",
		"SPDY/3.1":  "POST /cluster/exec?command=sh HTTP/1.1\r\nContent-Length: 0\r\nX-Stream-Protocol-Version: v5.channel.k8s.io\r\nX-Stream-Protocol-Version: v4.channel.k8s.io",
	} {
		t.Run(protocol, func(t *testing.T) {
			up, down := noise(1, size), noise(2, size)
			heard := make(chan http.Header, 1)
			server := member(t, func(w http.ResponseWriter, r *http.Request) {
				heard <- r.Header
				conn, buffered, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-Websocket-Protocol: v5.channel.k8s.io\r\n\r\n", protocol)
				bothWays(t, conn, buffered, down, up)
			})
			conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "%s\r\nHost: x\r\nTest-Person: anna\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", asked, protocol)
			in := bufio.NewReader(conn)
			answer, err := http.ReadResponse(in, nil)
			if err != nil || answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Upgrade") != protocol || answer.Header.Get("Sec-Websocket-Protocol") != "v5.channel.k8s.io" {
				t.Fatalf("%+v, %v", answer, err)
			}
			bothWays(t, conn, in, up, down)
			h := <-heard
			if h.Get("Upgrade") != protocol || len(h.Values("Sec-Websocket-Protocol"))+len(h.Values("X-Stream-Protocol-Version")) == 0 || h.Get("Impersonate-User") != "hanse:anna" {
				t.Errorf("the cluster is asked %v", h)
			}
			for name, want := range map[string]int{"X-Stream-Protocol-Version": 2, "Sec-Websocket-Key": 1} {
				if got := len(h.Values(name)); got != want && got != 0 {
					t.Errorf("%s: %v", name, h.Values(name))
				}
			}
		})
	}
}

// bothWays says and hears at once.
func bothWays(t *testing.T, out io.Writer, in io.Reader, say, want []byte) {
	var saying sync.WaitGroup
	defer saying.Wait()
	saying.Go(func() {
		if _, err := out.Write(say); err != nil {
			t.Error(err)
		}
	})
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("not what was sent, %v", err)
	}
}

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0] = byte(seed)
	rand.NewChaCha8(key).Read(b)
	return b
}

func TestARefusalEndsThoughTheBodyDoesNot(t *testing.T) {
	server := member(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "no")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	body, more := io.Pipe()
	defer more.Close()
	go io.WriteString(more, "{")
	r, _ := http.NewRequestWithContext(ctx, http.MethodPatch, server.URL+"/cluster/api", body)
	r.Header.Set("Test-Person", "anna")
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if said, err := io.ReadAll(answer.Body); err != nil || string(said) != "no" || answer.ProtoMajor != 2 {
		t.Errorf("%s %q, %v", answer.Proto, said, err)
	}
}

func TestOnePersonHasSoManyRequestsUnderWay(t *testing.T) {
	hold := make(chan struct{})
	server := member(t, func(http.ResponseWriter, *http.Request) { <-hold })
	defer close(hold)
	p := server.Config.Handler.(*Proxy)
	for range maxRequests {
		if _, ok := p.asking.Take("anna"); !ok {
			t.Fatal("too few")
		}
	}
	if code, said := ask(t, server, "/cluster/api", http.Header{"Test-Person": {"anna"}}); code != http.StatusTooManyRequests {
		t.Errorf("%d %s", code, said)
	}
}

func TestAClusterThatDoesNotAnswerIsSaidSo(t *testing.T) {
	server := member(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	code, said := ask(t, server, "/cluster/api", http.Header{"Test-Person": {"anna"}})
	if code != http.StatusServiceUnavailable || !strings.Contains(said, "the API of sin does not answer its member") {
		t.Errorf("%d %s", code, said)
	}
}
