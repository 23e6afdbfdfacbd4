package apiserver

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
)

// Porter answers at a member's doors while there is no Server yet: 503, and when to come back. A socket's backlog takes
// whoever comes, and would let them wait for as long as the member reads its log.
type Porter struct {
	Cluster string
	// Certificates are those that the server will show.
	Certificates []tls.Certificate
	// Patience is for how long nothing is said on TCP: who waits no longer than that is better served by the server. A
	// kube-apiserver that is told 503 takes the API for away, and asks no more than once in a while.
	Patience time.Duration
	Logger   *slog.Logger
}

// windUp is how long answers under way may take when the porter goes. The server waits for it.
const windUp = 200 * time.Millisecond

// Run answers until ctx ends. It leaves the listeners open, to be listened on again.
func (p Porter) Run(ctx context.Context, tcp, socket net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.serve(ctx, socket, func(l net.Listener) net.Listener { return l }) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(p.Patience):
		}
		c := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: p.Certificates, NextProtos: []string{"http/1.1"}}
		return p.serve(ctx, tcp, func(l net.Listener) net.Listener { return tls.NewListener(l, c) })
	})
	return group.Wait()
}

func (p Porter) serve(ctx context.Context, l net.Listener, dress func(net.Listener) net.Listener) error {
	lent, err := lend(l)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: http.HandlerFunc(p.answer), ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: headerTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(p.Logger.Handler(), slog.LevelDebug),
	}
	server.SetKeepAlivesEnabled(false)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(dress(limited(lent, maxConnections))) }()
	select {
	case err := <-failed:
		return fmt.Errorf("answer on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), windUp)
	defer cancel()
	err = server.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-failed
	return errors.Join(err, lent.giveBack())
}

// answer is the same to everybody, but to who asks only whether the process lives.
func (p Porter) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/livez" {
		fmt.Fprint(w, "ok")
		return
	}
	status := kvstorage.Starting(fmt.Sprintf("the member of %s is starting: it reads its log; ask again in a moment", p.Cluster)).ErrStatus
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	w.Header().Set("Retry-After", fmt.Sprint(status.Details.RetryAfterSeconds))
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	w.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(w).Encode(status) // who asked is gone
}

// lentListener is a listener that somebody else goes on with: closing it only ends the wait for the next connection.
type lentListener struct {
	net.Listener
	deadline func(time.Time) error
}

func lend(l net.Listener) (lentListener, error) {
	d, ok := l.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return lentListener{}, fmt.Errorf("%T cannot be lent", l)
	}
	return lentListener{l, d.SetDeadline}, nil
}

func (l lentListener) Close() error { return l.deadline(time.Unix(1, 0)) }

func (l lentListener) giveBack() error { return l.deadline(time.Time{}) }
