package apiserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver/internal/onemember"
	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
)

// hall is a member's doors with a porter at them, and no server.
type hall struct {
	live
	tcp, socket net.Listener
	relieve     func()
}

func attended(t *testing.T, patience time.Duration) *hall {
	t.Helper()
	h := &hall{live: live{Store: onemember.New(), works: newFakeWorks(), server: certificate(t)}}
	h.live.socket = filepath.Join(t.TempDir(), "s")
	var err error
	if h.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if h.socket, err = net.Listen("unix", h.live.socket); err != nil {
		t.Fatal(err)
	}
	h.live.tcp = h.tcp.Addr().String()
	p := Porter{Cluster: "fra", Certificates: []tls.Certificate{h.server}, Patience: patience, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, h.tcp, h.socket) }()
	h.relieve = func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// serve lets a server take the doors over.
func (h *hall) serve(t *testing.T) {
	h.run(t, Config{
		Fleet: "acme", Cluster: "fra", Certificate: h.server, TCP: h.tcp, Socket: h.socket, Store: h.Store,
		Computed: map[string]Computed{"works": h.works, "clustermetrics": newFakeWorks()},
		Timing:   kvstorage.Timing{Read: 300 * time.Millisecond, Behind: 300 * time.Millisecond},
		Logger:   slog.New(slog.NewTextHandler(io.Discard, nil)), Version: "v0.0.0-test",
	})
}

// asked is what somebody is told at a path.
func asked(t *testing.T, c *rest.Config, path string) (int, http.Header, []byte) {
	t.Helper()
	resp, err := httpClient(t, c).Get(c.Host + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, body
}

func TestAPorterSaysThatTheMemberIsStarting(t *testing.T) {
	h := attended(t, 0)
	doors := map[string]*rest.Config{"the socket": h.local(), "TCP": h.user(t, "anna", v1alpha1.RoleAdmin)}
	for door, config := range doors {
		t.Run(door+" says when to come back, in the words of Kubernetes", func(t *testing.T) {
			for _, path := range []string{"/readyz", "/apis/fleet.hanse.dev/v1alpha1", "/apis/fleet.hanse.dev/v1alpha1/bundles?watch=1", v1alpha1.PathStatus} {
				code, header, body := asked(t, config, path)
				if code != http.StatusServiceUnavailable || header.Get("Retry-After") != "1" {
					t.Errorf("%s: %d, Retry-After %q", path, code, header.Get("Retry-After"))
				}
				var said metav1.Status
				if err := json.Unmarshal(body, &said); err != nil || !apierrors.HasStatusCause(&apierrors.StatusError{ErrStatus: said}, CauseStarting) {
					t.Errorf("%s: %s", path, body)
				}
			}
		})
		t.Run(door+" says that the process lives", func(t *testing.T) {
			if code, _, body := asked(t, config, "/livez"); code != http.StatusOK {
				t.Errorf("%d: %s", code, body)
			}
		})
	}
	h.relieve()
	h.serve(t)
	for door, config := range doors {
		if code, _, body := asked(t, config, "/readyz"); code != http.StatusOK {
			t.Errorf("%s, of the server: %d: %s", door, code, body)
		}
	}
}

// Who waits at the door when the server comes is let in by it, and has not noticed.
func TestAPorterLetsOthersWaitForTheServer(t *testing.T) {
	h := attended(t, time.Hour)
	conn, err := net.Dial("tcp", h.live.tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h.relieve()
	h.serve(t)
	waited := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if _, err := waited.Write([]byte("GET /readyz HTTP/1.1\r\nHost: hanse\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(waited), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("who waited is told %s", resp.Status)
	}
}

// A caller that says nothing does not keep the server away.
func TestAPorterGoesWhoeverIsThere(t *testing.T) {
	h := attended(t, 0)
	silent, err := net.Dial("unix", h.live.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	h.relieve()
	h.serve(t)
	if code, _, body := asked(t, h.local(), "/readyz"); code != http.StatusOK {
		t.Errorf("%d: %s", code, body)
	}
}
