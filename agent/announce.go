package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/aggregate"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/events"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/reconcile"
)

// announcer tells the people of the member's own cluster what the member does there, and how the fleet is.
type announcer struct {
	core   *Core
	teller *events.Teller
}

const (
	// announcePause is how often the announcer looks how the fleet is, steadyFor how long something must be so until it is told.
	announcePause = 5 * time.Second
	steadyFor     = 15 * time.Second
)

func (c *Core) announcer(cluster *rest.Config) (*announcer, error) {
	teller, err := events.New(events.Config{REST: cluster, Instance: c.self.Cluster, Logger: c.log.With("room", "events")})
	if err != nil {
		return nil, err
	}
	return &announcer{core: c, teller: teller}, nil
}

// watch tells when the fleet loses its quorum or the cluster the fleet's API, and when they are back, until ctx ends.
func (a *announcer) watch(ctx context.Context, standing func() aggregate.Standing) error {
	quorum, api := steady[bool]{told: true}, steady[string]{told: aggregate.ReasonRegistered}
	for pause.For(ctx, announcePause) {
		now := time.Now()
		if have, turned := quorum.see(a.core.quorate(now), now); turned {
			a.teller.Tell(a.core.aboutCluster(quorumEvent(have)))
		}
		if s := standing(); s.Status != "" && s.Reason != reasonDisabled && s.Reason != reasonNoCluster {
			if _, turned := api.see(s.Reason, now); turned {
				a.teller.Tell(a.core.aboutCluster(aggregationEvent(s)))
			}
		}
	}
	return nil
}

// quorate says whether this member sees a majority of the voters.
func (c *Core) quorate(now time.Time) bool {
	seen, _, _ := c.reports.Seen()
	return c.council(c.store.View(), c.node.Status(), seen, now).quorum().Have
}

// aboutCluster is an event about the member's own Cluster.
func (c *Core) aboutCluster(e events.Event) events.Event {
	e.Regarding = corev1.ObjectReference{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Cluster", Name: c.self.Cluster}
	var cluster metav1.PartialObjectMetadata
	if kv, ok := c.store.View().Get(v1alpha1.KeyClusters + c.self.Cluster); ok && json.Unmarshal(kv.Value, &cluster) == nil {
		e.Regarding.UID = cluster.UID
	}
	return e
}

func quorumEvent(have bool) events.Event {
	if have {
		return events.Event{Reason: "QuorumRegained", Action: "Follow", Note: "the fleet has a quorum again: it can be changed"}
	}
	return events.Event{Warning: true, Reason: "QuorumLost", Action: "Follow",
		Note: "the fleet has no quorum: it cannot be changed; what is granted to this cluster is kept as it is"}
}

func aggregationEvent(s aggregate.Standing) events.Event {
	if s.Reason == aggregate.ReasonOutlivesMember {
		return events.Event{Warning: true, Reason: s.Reason, Action: "Register", Note: s.Message}
	}
	if s.Status == metav1.ConditionTrue {
		return events.Event{Reason: "Aggregated", Action: "Register", Note: "the fleet's API is in this cluster again"}
	}
	return events.Event{Warning: true, Reason: s.Reason, Action: "Register", Note: "the fleet's API is not in this cluster: " + s.Message}
}

// left tells of an object that lies where a projection should.
func (a *announcer) left(kind, namespace, name string) {
	if namespace != "" {
		name = namespace + "/" + name
	}
	a.teller.Tell(a.core.aboutCluster(events.Event{Warning: true, Reason: "NotOurs", Action: "Project",
		Note: fmt.Sprintf("%s %s is there already and is not the fleet's: it is left alone", kind, name)}))
}

// reported tells what has changed in the cluster about a bundle; before is nil when nothing was reported of it yet.
func (a *announcer) reported(r reconcile.Report, before *v1alpha1.WorkStatus) {
	for _, e := range bundleEvents(before, r) {
		e.Regarding = rolledOutRef(r.Bundle, r.BundleUID)
		a.teller.Tell(e)
	}
}

func (a *announcer) withdrawn(bundle, uid string) {
	a.teller.Tell(events.Event{Regarding: rolledOutRef(bundle, uid), Reason: "Withdrawn", Action: "Withdraw", Note: "nothing of " + v1alpha1.RolledOutOf(bundle).Title() + " is left in this cluster"})
}

func rolledOutRef(bundle, uid string) corev1.ObjectReference {
	ref := v1alpha1.RolledOutOf(bundle).Ref()
	return corev1.ObjectReference{APIVersion: ref.APIVersion, Kind: ref.Kind, Name: ref.Name, UID: types.UID(uid)}
}

// bundleEvents is what people should know of a change. What the member found applied, or what an earlier bundle of the name left, is
// no news.
func bundleEvents(before *v1alpha1.WorkStatus, r reconcile.Report) (all []events.Event) {
	was, now := v1alpha1.WorkStatus{}, r.Status
	if before != nil {
		was = *before
	}
	if now.Applied != "" && now.Applied != was.Applied && now.Applied == r.CarriedOut {
		all = append(all, events.Event{Reason: "Applied", Action: "Apply", Note: "revision " + now.Applied + " is applied in this cluster",
			Related: corev1.ObjectReference{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "BundleRevision", Name: now.Applied}})
	}
	if d := now.LastDrift; d != nil && (was.LastDrift == nil || !d.At.Equal(&was.LastDrift.At)) {
		note := plan.Name(d.ObjectRef) + " was changed by " + cmp.Or(d.Manager, "somebody")
		if now.DriftCorrected > was.DriftCorrected {
			all = append(all, events.Event{Reason: "DriftCorrected", Action: "Correct", Note: note + ": it is put right"})
		} else {
			all = append(all, events.Event{Warning: true, Reason: "Drifted", Action: "Report", Note: note + ": it is left so, as the bundle says"})
		}
	}
	had := map[string]bool{}
	for _, p := range was.Problems {
		had[p.Reason+plan.Name(p.ObjectRef)] = true
	}
	for _, p := range now.Problems {
		if !had[p.Reason+plan.Name(p.ObjectRef)] {
			all = append(all, events.Event{Warning: true, Reason: p.Reason, Action: "Apply", Note: plan.Name(p.ObjectRef) + ": " + p.Message})
		}
	}
	return all
}

// steady tells a turn only when it lasts.
type steady[T comparable] struct {
	told, next T
	since      time.Time
}

// see takes what is so now, and says whether that is to be told.
func (s *steady[T]) see(is T, now time.Time) (T, bool) {
	if is == s.told || is != s.next || s.since.IsZero() {
		s.next, s.since = is, now
		return is, false
	}
	if now.Sub(s.since) < steadyFor {
		return is, false
	}
	s.told = is
	return is, true
}
