package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// breaker breaks off, as Ctrl-C does, when something is said.
type breaker struct {
	bytes.Buffer
	at     string
	cancel context.CancelFunc
}

func (b *breaker) Write(p []byte) (int, error) {
	if strings.Contains(string(p), b.at) {
		b.cancel()
	}
	return b.Buffer.Write(p)
}

func TestWhoBreaksOffARemovalIsToldWhereItStands(t *testing.T) {
	m := newMember()
	m.set("votes")
	socket := filepath.Join(t.TempDir(), socketName)
	m.serve(t, func(f func()) { t.Cleanup(f) }, socket)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	talk := &breaker{at: "iad votes; waiting", cancel: cancel}
	code := run(ctx, []string{"hanse", "remove", "iad", "--yes", "--server", "unix://" + socket}, strings.NewReader(""), &out, talk)
	want := "hanse: remove iad: interrupted: it is a member still\n  its spec.voting is Never from now on; go on with: hanse remove iad\n"
	if code != exitError || !strings.HasSuffix(talk.String(), want) || out.Len() > 0 {
		t.Errorf("exit %d, said:\n%s%s", code, out.String(), talk.String())
	}
}
