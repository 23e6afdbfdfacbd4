package apiserver

import (
	"context"
	"net/http"

	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// whileKnown ends a watch when its user is no longer who it was: deleted, another key, or another role. A guest's ends
// when its kube-apiserver ends it.
func (s *Server) whileKnown(h http.Handler, longRunning apirequest.LongRunningRequestCheck) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := apirequest.RequestInfoFrom(r.Context())
		name := Asking(r.Context()).Person
		if !ok || name == "" || name == v1alpha1.LocalPerson || isGuest(r.Context()) || !longRunning(r, info) {
			h.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer cancel()
			s.untilChanged(ctx, r)
		}()
		h.ServeHTTP(w, r.WithContext(ctx))
		cancel()
		<-ended
	})
}

// untilChanged returns when the user of a request changes. It may return early, when the history moved on too fast
// to tell: the watch then ends, and the client asks anew.
func (s *Server) untilChanged(ctx context.Context, r *http.Request) {
	v := s.config.Store.View()
	asker, _ := apirequest.UserFrom(ctx)
	known, ok := s.users.lookup(pinOf(r))
	if !ok || known.Name != asker.GetName() || known.Spec.Role != roleOf(asker) {
		return
	}
	key := v1alpha1.KeyUsers + known.Name
	w, err := s.config.Store.Watch(key, v.Revision())
	if err != nil {
		return
	}
	for {
		batch, err := w.Next(ctx)
		if err != nil {
			return
		}
		for _, e := range batch.Events {
			if e.Key == key {
				return
			}
		}
	}
}
