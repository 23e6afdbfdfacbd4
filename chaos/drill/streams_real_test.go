package drill

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// streams is a kubelet's part of kubectl exec and port-forward: what goes in comes out again.
func streams(t *testing.T, w http.ResponseWriter, r *http.Request) {
	if _, err := httpstream.Handshake(r, w, []string{"v4.channel.k8s.io", "portforward.k8s.io"}); err != nil {
		t.Error(err)
		return
	}
	opened := make(chan httpstream.Stream, 8)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		opened <- s
		return nil
	})
	if conn == nil {
		return // told
	}
	defer conn.Close()
	by := map[string]httpstream.Stream{}
	wanted := []string{corev1.StreamTypeError, corev1.StreamTypeStdin, corev1.StreamTypeStdout, corev1.StreamTypeStderr}
	if strings.HasPrefix(r.URL.Path, "/portForward/") {
		wanted = []string{corev1.StreamTypeError, corev1.StreamTypeData}
	}
	for range wanted {
		select {
		case s := <-opened:
			by[s.Headers().Get(corev1.StreamType)] = s
		case <-conn.CloseChan():
			return
		}
	}
	if data := by[corev1.StreamTypeData]; data != nil {
		io.Copy(data, data)
		return
	}
	io.Copy(by[corev1.StreamTypeStdout], by[corev1.StreamTypeStdin])
	io.WriteString(by[corev1.StreamTypeError], `{"metadata":{},"status":"Success"}`)
	for _, s := range by {
		s.Close()
	}
	<-conn.CloseChan()
}

// streams runs a stock kubectl through fra in iad, and hears what it said.
func (p viaHTTPS) streams(t *testing.T, webSockets string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	noise := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	settings := []string{"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=" + webSockets, "KUBECTL_PORT_FORWARD_WEBSOCKETS=" + webSockets}

	shell := p.command(ctx, "kubectl", "--cluster", "iad", "--", "exec", "-i", "web", "-v=7", "--", "cat")
	var out, talk bytes.Buffer
	shell.Env, shell.Stdin, shell.Stdout, shell.Stderr = append(shell.Env, settings...), bytes.NewReader(noise), &out, &talk
	if err := shell.Run(); err != nil || !bytes.Equal(out.Bytes(), noise) {
		t.Errorf("%v: %d bytes came back of %d; %s", err, out.Len(), len(noise), &talk)
	}
	protocol := map[string]string{"true": "Sec-Websocket-Protocol: v5.channel.k8s.io", "false": "X-Stream-Protocol-Version: v5.channel.k8s.io"}[webSockets]
	mentions(t, talk.String(), protocol)

	forward := p.command(ctx, "kubectl", "--cluster", "iad", "--", "port-forward", "web", ":80")
	var sigh bytes.Buffer
	forward.Env, forward.Stderr = append(forward.Env, settings...), &sigh
	said, err := forward.StdoutPipe()
	if err == nil {
		err = forward.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = forward.Wait() }() // it is killed
	line, err := bufio.NewReader(said).ReadString('\n')
	_, address, ok := strings.Cut(line, "from ")
	address, _, _ = strings.Cut(address, " ")
	if err != nil || !ok {
		cancel()
		_ = forward.Wait()
		t.Fatalf("%q, %v: %s", line, err, &sigh)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go conn.Write(noise) // its end is seen by what comes back
	got := make([]byte, len(noise))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, noise) {
		t.Errorf("what came back is not what was sent: %v", err)
	}
}
