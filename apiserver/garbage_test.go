package apiserver

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestGarbageOnThePortHurtsNobody(t *testing.T) {
	l := start(t, nil)
	noise := make([]byte, 256<<10)
	_, _ = rand.Read(noise)
	inTLS := func(t *testing.T) net.Conn {
		t.Helper()
		c, err := tls.Dial("tcp", l.tcp, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	plain := func(t *testing.T) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", l.tcp)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, attack := range map[string]struct {
		dial func(*testing.T) net.Conn
		send []byte
	}{
		"noise instead of TLS":      {plain, noise},
		"HTTP instead of TLS":       {plain, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		"noise inside TLS":          {inTLS, noise},
		"a header without end":      {inTLS, []byte("GET / HTTP/1.1\r\nX: " + strings.Repeat("y", 2*maxHeader))},
		"a TLS record of too much":  {plain, append([]byte{22, 3, 1, 0xff, 0xff}, noise...)},
		"a length that is negative": {inTLS, []byte("POST /apis HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")},
	} {
		t.Run(name+" is cut off", func(t *testing.T) {
			c := attack.dial(t)
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(2 * headerTimeout))
			_, _ = io.Copy(c, bytes.NewReader(attack.send))
			if _, err := io.Copy(io.Discard, c); err != nil {
				if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
					t.Error("the connection stays open")
				}
			}
		})
	}
	if _, err := client(t, l.user(t, "ann", v1alpha1.RoleViewer), "bundles").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("a good request afterwards: %v", err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limited(inner, 1)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	first := <-accepted
	if n, err := dial().Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the second connection was let in: %d bytes, %v", n, err)
	}
	first.Close()
	dial()
	(<-accepted).Close()
	l.Close()
	for range accepted {
	}
}
