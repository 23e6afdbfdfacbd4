package law

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// secretInUse is a secret of the fleet, and the revisions of it that some cluster may have to open.
type secretInUse struct {
	name, uid, present string
	// older are those that it is not any more: clusters keep them, or a rollout may still grant them.
	older map[string]bool
}

// secretsInUse reads who runs what of all secrets. It is asked only before something is refused, or a group goes.
func secretsInUse(v *store.View) []*secretInUse {
	var all []*secretInUse
	at, unread := map[string]*secretInUse{}, map[string]*secretInUse{} // by UID, and those that cannot be read by the names that they are rolled out under
	of := func(uid, bundle string) *secretInUse {
		if one := at[uid]; one != nil {
			return one
		}
		return unread[bundle]
	}
	for kv := range v.Iterate(v1alpha1.KeyFleetSecrets, "") {
		var s v1alpha1.FleetSecret
		if json.Unmarshal(kv.Value, &s) != nil {
			_, s.Name = splitKey(kv.Key)
			one := &secretInUse{name: s.Name, older: map[string]bool{}}
			all, unread[s.RolledOut().String()] = append(all, one), one
			continue
		}
		one := &secretInUse{s.Name, string(s.UID), s.RevisionName(), map[string]bool{}}
		all, at[one.uid] = append(all, one), one
	}
	for kv := range v.Iterate(v1alpha1.KeyGrants, "") {
		var g v1alpha1.Grant
		if _, bundle := v1alpha1.CutGrantKey(kv.Key); !v1alpha1.RolledOutOf(bundle).IsSecret() || json.Unmarshal(kv.Value, &g) != nil || !Standing(v, kv.Key) {
			continue
		}
		if one := of(g.BundleUID, g.Bundle); one != nil {
			one.older[g.Revision] = true
		}
	}
	rollouts := map[*secretInUse][]*v1alpha1.Rollout{}
	for kv := range v.Iterate(v1alpha1.KeyRollouts+v1alpha1.RolledOut{Kind: "FleetSecret"}.String(), "") {
		r := &v1alpha1.Rollout{}
		if json.Unmarshal(kv.Value, r) != nil {
			continue
		}
		if one := of(r.Spec.BundleUID, r.Spec.Bundle); one != nil {
			rollouts[one] = append(rollouts[one], r)
		}
	}
	for one, its := range rollouts {
		one.mayRun(v, its)
	}
	for _, one := range all {
		delete(one.older, "")
		delete(one.older, one.present)
	}
	return all
}

// mayRun adds what rollouts that have not ended may still grant, and the last good revision: what the fleet goes back to, and who joins gets first.
func (s *secretInUse) mayRun(v *store.View, rollouts []*v1alpha1.Rollout) {
	before := []int64{math.MaxInt64}
	if last := s.last(rollouts); last != nil && last.Status.Phase.Ended() && last.Status.Phase != v1alpha1.RolloutComplete {
		before = append(before, last.Spec.Generation) // who joins gets the one before it, even if it went through elsewhere
	}
	for _, r := range rollouts {
		if r.Status.Phase.Ended() {
			continue
		}
		before = append(before, r.Spec.Generation)
		s.older[r.Spec.Revision] = true
		for _, wave := range r.Spec.Waves {
			s.older[wave.Revision] = true
		}
	}
	for _, generation := range before {
		s.older[lastGood(v, rollouts, generation)] = true
	}
}

// last is the newest rollout of what the secret is now, nil when it has none yet.
func (s *secretInUse) last(rollouts []*v1alpha1.Rollout) (last *v1alpha1.Rollout) {
	for _, r := range rollouts {
		if r.Spec.Revision == s.present && (last == nil || r.Spec.Number > last.Spec.Number) {
			last = r
		}
	}
	return last
}

// lastGood is the revision of the newest rollout that went through with a generation before another one, of those that no admin struck off since; ""
// when there is none.
func lastGood(v *store.View, rollouts []*v1alpha1.Rollout, before int64) (revision string) {
	var best int64
	for _, r := range rollouts {
		if g := r.Spec.Generation; r.Status.Phase == v1alpha1.RolloutComplete && r.HasSettled() && g < before && g > best && v.Has(v1alpha1.KeyBundleRevisions+r.Spec.Revision) {
			best, revision = g, r.Spec.Revision
		}
	}
	return revision
}

// revisions are all of them, the present one first.
func (s *secretInUse) revisions() []string {
	return append([]string{s.present}, slices.Sorted(maps.Keys(s.older))...)
}

// sealedFor is what is sealed for a group, "" for nothing: a secret as it is, or as clusters keep it, or may get it again. unless says what else
// than its deletion ends that.
func sealedFor(v *store.View, group string) (sealed, unless string) {
	for _, s := range secretsInUse(v) {
		for _, revision := range s.revisions() {
			switch {
			case groupOf(v, revision) != group:
			case revision == s.present:
				return "secret " + s.name, "seal it for another group: hanse seal"
			default:
				return fmt.Sprintf("secret %s, as revision %s has it, which clusters keep or may get again,", s.name, revision),
					fmt.Sprintf("let what it is now go through: hanse rollout status %s", v1alpha1.RolledOut{Kind: "FleetSecret", Name: s.name})
			}
		}
	}
	return "", ""
}
