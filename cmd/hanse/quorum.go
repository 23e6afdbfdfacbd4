package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// lastWord is what a verb whose time is up may spend to say why.
const lastWord = 2 * time.Second

// noQuorum is a write that was surely not made, told with what the member knows about the voters.
func (f *fleet) noQuorum(ctx context.Context, err error) error {
	out := &failure{code: exitNoQuorum, why: "no quorum"}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		out.why = "no quorum: " + strings.TrimPrefix(status.Status().Message, "no quorum: ")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	var now v1alpha1.FleetStatus
	if _, err := f.read(ctx, request{path: v1alpha1.PathStatus}, &now); err == nil && !now.Quorum.Have {
		out.why = "no quorum: " + lostWords(now, time.Now())
		out.hints = append(out.hints, hint{words: waitWords(now)})
	}
	out.hints = append(out.hints, hint{"nothing was written; keep trying with", f.again})
	if !now.Quorum.Have && len(goneVoters(now)) > 0 {
		out.hints = append(out.hints, hint{"should they be lost for good", "recover --show"})
	}
	return out
}

// lostWords: sin reaches 1 of 3 voters, for 41 s.
func lostWords(s v1alpha1.FleetStatus, now time.Time) string {
	words := fmt.Sprintf("%s reaches %d of %d voters", s.Member, s.Quorum.Reached, s.Quorum.Voters)
	if since, ok := lostSince(s); ok && now.After(since) {
		words += ", for " + span(now.Sub(since))
	}
	return words
}

// waitWords: reads work (revision 812); writes wait for fra or iad.
func waitWords(s v1alpha1.FleetStatus) string {
	words := fmt.Sprintf("reads work (revision %d)", s.Revision)
	gone := goneVoters(s)
	need := s.Quorum.Voters/2 + 1 - s.Quorum.Reached
	switch {
	case len(gone) == 0 || need <= 0:
		return words + "; writes wait for a leader"
	case need == 1:
		return words + "; writes wait for " + either(gone)
	}
	return words + fmt.Sprintf("; writes wait for %d of %s", need, strings.Join(gone, ", "))
}

func goneVoters(s v1alpha1.FleetStatus) []string {
	var gone []string
	for _, c := range s.Clusters {
		if c.Voter && !c.Reachable {
			gone = append(gone, c.Name)
		}
	}
	return gone
}

// lostSince is when the voter was last seen whose loss left fewer than a majority.
func lostSince(s v1alpha1.FleetStatus) (time.Time, bool) {
	var seen []time.Time
	for _, c := range s.Clusters {
		if c.Voter && !c.Reachable && c.LastSeen != nil {
			seen = append(seen, c.LastSeen.Time)
		}
	}
	slices.SortFunc(seen, time.Time.Compare)
	fatal := s.Quorum.Voters - (s.Quorum.Voters/2 + 1) // so many losses were survived
	if fatal < 0 || fatal >= len(seen) {
		return time.Time{}, false
	}
	return seen[fatal], true
}

// either joins words with commas, and the last with "or".
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
