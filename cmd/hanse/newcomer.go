package main

import (
	"net/http"
	"time"

	"github.com/hanse-fleet/hanse/internal/pause"
)

// A key may have been made a moment ago, and a member hear of it a moment later: for how long it is asked again.
const (
	hearsAgain = 200 * time.Millisecond
	hearsLast  = 3 * time.Second
)

// introduced asks a member again, for a while, that does not know the person.
type introduced struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (i introduced) RoundTrip(r *http.Request) (*http.Response, error) {
	for waited := time.Duration(0); ; waited += hearsAgain {
		answer, err := i.RoundTripper.RoundTrip(r)
		if err != nil || answer.StatusCode != http.StatusUnauthorized || r.Body != nil || waited >= hearsLast || !pause.For(r.Context(), hearsAgain) {
			return answer, err
		}
		answer.Body.Close()
	}
}
