package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// headerTimeout is how long a client may take for the TLS handshake, and again for a request's header.
	headerTimeout = 10 * time.Second
	// bodyTimeout is how long it may take for the body.
	bodyTimeout = 60 * time.Second
	idleTimeout = 2 * time.Minute
	// stopTimeout is how long requests under way may take when the server stops. Watches end at once.
	stopTimeout = 5 * time.Second
	maxHeader   = 64 << 10
	// maxConnections bounds what strangers can hold open.
	maxConnections = 1024
)

// Run serves until ctx is done, then ends what is under way and closes the listeners. It leaves no goroutine behind.
func (s *Server) Run(ctx context.Context) error {
	defer s.stop()
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range []net.Listener{s.config.TCP, s.config.Tunnels} {
		if l != nil {
			group.Go(func() error { return s.serve(ctx, tls.NewListener(limited(l, maxConnections), s.tlsConfig()), nil) })
		}
	}
	if s.config.Socket != nil {
		l := limited(s.config.Socket, maxConnections)
		group.Go(func() error { return s.serve(ctx, l, markLocal) })
	}
	return group.Wait()
}

// tlsConfig asks for a certificate and takes any: the pin decides, in AuthenticateRequest.
func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: s.certificates(),
		ClientAuth:   tls.RequestClientCert,
		NextProtos:   []string{"h2", "http/1.1"},
	}
}

// certificates are the member's own, and the one for its kube-apiserver: crypto/tls picks by the name that is asked for,
// and the first when none fits.
func (s *Server) certificates() []tls.Certificate {
	if s.config.FrontProxy == nil {
		return []tls.Certificate{s.config.Certificate}
	}
	return []tls.Certificate{s.config.Certificate, s.config.FrontProxy.Certificate}
}

// serve runs one listener. Requests live in a context that outlives ctx by the time they are given to end.
func (s *Server) serve(ctx context.Context, l net.Listener, mark func(context.Context) context.Context) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler:           endWatches(s.handler, ctx),
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 250},
		ErrorLog:          slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context {
			if mark == nil {
				return requests
			}
			return mark(requests)
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve API on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	err := shutdown(ctx, server)
	cancel()
	<-failed
	return err
}

// shutdown lets requests end, and cuts those that do not.
func shutdown(ctx context.Context, server *http.Server) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := server.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if err != nil {
		return fmt.Errorf("stop API server: %w", err)
	}
	return nil
}

// endWatches ends the requests that never end by themselves when the server stops: watches, and logs that are followed.
func endWatches(h http.Handler, stop context.Context) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); r.Method != http.MethodGet || !q.Has("watch") && !q.Has("follow") {
			h.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(stop, cancel)()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// withBodyDeadline bounds the time for a request's body. A handler that waits for bytes that never come would keep
// its connection, and what it has read so far, for ever.
func withBodyDeadline(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			// Not every ResponseWriter can do it; those of net/http can.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		h.ServeHTTP(w, r)
	})
}
