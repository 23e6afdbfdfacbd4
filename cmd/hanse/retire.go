package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// retire has the leader give a member's vote to others before the member is cut off: a vote that nobody hears any more, and
// another voter lost besides, could leave too few to decide. A call that was broken off is gone on with by the next.
func (f *fleet) retire(ctx context.Context, talk io.Writer, name string) error {
	var c v1alpha1.Cluster
	path := mustKind("Cluster").path(name)
	if _, err := f.read(ctx, request{path: path}, &c); err != nil || c.VotesNoMore() {
		return err
	}
	if c.Spec.Voting != v1alpha1.VotingNever {
		if err := f.spareable(ctx, &c); err != nil {
			return err
		}
		if err := f.tryToRemove(ctx, talk, &c); err != nil {
			return err
		}
		never := map[string]any{"spec": map[string]any{"voting": v1alpha1.VotingNever}}
		if _, err := f.merge(ctx, request{path: path}, never); err != nil {
			return err
		}
	}
	if c.Status.Voter == v1alpha1.RoleVoter {
		fmt.Fprintf(talk, "%s votes; waiting until the fleet decides without it\n", name)
	}
	for {
		var now v1alpha1.Cluster
		if _, err := f.read(ctx, request{path: path}, &now); isReason(err, "NotFound") || err == nil && now.VotesNoMore() {
			return nil
		}
		if !wait(ctx, between) {
			return f.votesStill(ctx, name)
		}
	}
}

// spareable refuses what the fleet could not go on after, before anything is changed.
func (f *fleet) spareable(ctx context.Context, c *v1alpha1.Cluster) error {
	var all v1alpha1.ClusterList
	if _, err := f.read(ctx, request{path: mustKind("Cluster").path()}, &all); err != nil {
		return err
	}
	admins, voters := 0, 0
	for _, o := range all.Items {
		if o.Name == c.Name {
			continue
		}
		if o.Spec.Rights == v1alpha1.RightsAdmin {
			admins++
		}
		if o.Spec.Voting == v1alpha1.VotingEligible && !meta.IsStatusConditionFalse(o.Status.Conditions, v1alpha1.ConditionReady) {
			voters++
		}
	}
	join := hint{"let another cluster in first", "token create"}
	switch {
	case admins == 0:
		return &failure{code: exitError, why: "no other cluster has the right Admin, so nobody could change the fleet any more", hints: []hint{join}}
	case voters == 0 && c.Status.Voter == v1alpha1.RoleVoter:
		return &failure{code: exitError, why: "it votes, and no other cluster that may is there to do it in its place", hints: []hint{join}}
	}
	return nil
}

// tryToRemove asks whether the fleet would let a cluster go that does not vote any more. Nothing is changed.
func (f *fleet) tryToRemove(ctx context.Context, talk io.Writer, c *v1alpha1.Cluster) error {
	_, err := f.write(ctx, request{verb: "DELETE", path: mustKind("Cluster").path(c.Name), query: url.Values{"dryRun": {"All"}}})
	switch {
	case isReason(err, reasonVotes):
		return nil
	case saysOnlyThatItVotes(err, c.Name):
		fmt.Fprintf(talk, "the member at %s is of an older version: whether anything but its vote keeps %s in the fleet is heard once others have that\n", f.server, c.Name)
		return nil
	}
	return err
}

// saysOnlyThatItVotes says of a refusal that it is that of a member from before votes were told with a cause: it has these words alone, and
// nothing else was looked at.
func saysOnlyThatItVotes(err error, cluster string) bool {
	var refused *failure
	return errors.As(err, &refused) && refused.reason == metav1.StatusReasonForbidden && strings.HasPrefix(refused.why, cluster+" votes; set its spec.voting to ")
}

// votesStill is what there is to say when the time is up, or a person broke off.
func (f *fleet) votesStill(ctx context.Context, name string) error {
	out := &failure{code: exitUncertain, why: "it is a member still: the leader has not given up its vote yet"}
	if errors.Is(ctx.Err(), context.Canceled) {
		out.code, out.why = exitError, "interrupted: it is a member still"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	var now v1alpha1.FleetStatus
	if _, err := f.read(ctx, request{path: v1alpha1.PathStatus}, &now); err == nil {
		if gone := goneVoters(now); len(gone) > 0 {
			out.hints = append(out.hints, hint{words: "nobody hears " + few(gone) + ": until others vote in that place, too few could be left to decide"})
		}
	}
	out.hints = append(out.hints, hint{"its spec.voting is Never from now on; go on with", "remove " + name})
	return out
}
