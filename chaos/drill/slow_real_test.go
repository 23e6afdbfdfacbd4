package drill

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// unread has a client of fra's kube-apiserver watch bundles and read nothing of what comes, until it is hung up on.
func unread(t *testing.T, f *field) {
	watcher := f.watchUnread(t, "fra")
	defer watcher.Close()
	large := strings.Repeat("0123456789abcdef", 4<<20/16)
	const bundle = `{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Bundle","metadata":{"name":"large"},"spec":{"placement":{"clusterSelector":{"matchLabels":{"there":"is-none"}}},
		"manifests":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"large","namespace":"default"},"data":{"text":"%s"}}]}}`
	answer, said := f.post(t, "fra", "/apis/fleet.hanse.dev/v1alpha1/bundles", fmt.Sprintf(bundle, large))
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("%s %.300s", answer.Status, said)
	}
	for n := range 5 { // with the first, more than all buffers on the way hold: some 14 MiB
		f.mustKubectl(t, "fra", "", "label", "bundle", "large", fmt.Sprintf("n=%d", n), "--overwrite")
	}
	took := until(t, 2*time.Minute, func(context.Context) error {
		for line := range bytes.Lines(f.log(t, "fra")) {
			if bytes.Contains(line, []byte("a client stopped reading")) && bytes.Contains(line, []byte("bundles")) {
				t.Logf("%s", line)
				return nil
			}
		}
		return errors.New("the member's log says nothing of it")
	})
	t.Logf("hung up on %s after the last change", round(took))
	n, err := io.Copy(io.Discard, watcher) // what was on the way; however it ends, it does
	t.Logf("then it reads %.0f MiB, and %v", float64(n)/(1<<20), err)
	f.mustKubectl(t, "fra", "", "delete", "bundle", "large")
}

// watchUnread opens a watch of bundles at a cluster's kube-apiserver.
func (f *field) watchUnread(t *testing.T, cluster string) net.Conn {
	t.Helper()
	config, err := f.cluster(t, cluster).REST()
	if err != nil {
		t.Fatal(err)
	}
	secure, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	secure.NextProtos = []string{"http/1.1"}
	plain, err := net.Dial("tcp", strings.TrimPrefix(f.cluster(t, cluster).Server(), "https://"))
	if err != nil {
		t.Fatal(err)
	}
	secure.ServerName = strings.Split(plain.RemoteAddr().String(), ":")[0]
	conn := tls.Client(plain, secure)
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	if _, err := fmt.Fprintf(conn, "GET /apis/fleet.hanse.dev/v1alpha1/bundles?watch=true HTTP/1.1\r\nHost: %s\r\n\r\n", secure.ServerName); err != nil {
		t.Fatal(err)
	}
	return conn
}
