package apiserver

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// What is under way at once. Each asker gets its share of it: through aggregation all requests of a cluster come over
// a few connections of its kube-apiserver, so shares are by who asks and not by connection.
const (
	// writeSeats bounds the writes, and with bytesPerSeat the memory of their bodies: 256 MiB.
	writeSeats   = 64
	bytesPerSeat = 4 << 20
	readSeats    = 200
	// watchSeats bounds the requests that never end by themselves.
	watchSeats = 4096
	// maxWaiting and maxWait are how many requests of one asker wait for a seat, and for how long.
	maxWaiting = 256
	maxWait    = 5 * time.Second
	// roomBytes bounds what clients are sent by watches and have not taken yet.
	roomBytes = 128 << 20
)

// shares are the seats of a server; those of the room are its bytes.
type shares struct{ writes, reads, watches, room *seats }

func newShares(stall time.Duration) shares {
	return shares{
		writes:  newSeats(writeSeats, maxWaiting, maxWait),
		reads:   newSeats(readSeats, maxWaiting, maxWait),
		watches: newSeats(watchSeats, 0, maxWait),
		room:    newSeats(roomBytes, watchSeats, stall),
	}
}

// fair lets each asker have its share of the server, so that one that floods it only waits for itself. What is too much
// gets a 429, which clients built on client-go repeat after the second that it names.
func (s *Server) fair(h http.Handler, longRunning apirequest.LongRunningRequestCheck, serializer runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.ContainsFunc(openPaths, under(r.URL.Path)) {
			h.ServeHTTP(w, r)
			return
		}
		who := Asking(r.Context()).Person
		pool, n := s.shares.of(r, longRunning)
		giveBack, err := pool.take(r.Context(), who, n)
		if err != nil {
			responsewriters.ErrorNegotiated(refusal(who, s.config.Cluster, err), serializer, v1alpha1.SchemeGroupVersion, w, r)
			return
		}
		defer giveBack()
		h.ServeHTTP(w, r)
	})
}

// of is the pool that a request needs seats of, and how many.
func (s shares) of(r *http.Request, longRunning apirequest.LongRunningRequestCheck) (*seats, int) {
	info, ok := apirequest.RequestInfoFrom(r.Context())
	switch {
	case ok && longRunning(r, info):
		return s.watches, 1
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return s.reads, 1
	}
	return s.writes, width(r.ContentLength)
}

// width is how many seats a body of that length takes; one of unknown length is as long as may be.
func width(length int64) int {
	if length < 0 || length > maxBody {
		length = maxBody
	}
	return max(1, int((length+bytesPerSeat-1)/bytesPerSeat))
}

func refusal(who, cluster string, err error) error {
	if !errors.Is(err, errNoSeat) {
		return apierrors.NewTimeoutError(err.Error(), 0)
	}
	return apierrors.NewTooManyRequests(fmt.Sprintf("%s asks the member of %s for %s; ask less at once, or wait", who, cluster, err), 1)
}
