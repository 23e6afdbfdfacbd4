package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/facts"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/internal/trouble"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
)

const (
	// leaderTick is how often the leader looks even though nothing happened: what is away depends on time.
	leaderTick = time.Second
	// statusPause is the least time between two writes of one object's status to the log, statusesPause between two rounds of
	// statuses of whatever objects: while people write, they are to have the disk.
	statusPause   = time.Second
	statusesPause = time.Second / 10
)

// leader takes the decisions that only the leader takes. It decides anew from the whole state each time, so a new
// leader goes on where the last one stopped; each write carries the term, so a deposed one writes nothing.
type leader struct {
	*Core
	term uint64
	// began is when it began to lead, logged the time of the log then, and clock what the wall clock said; no less than logged, as the leaders before
	// it wrote times down by that.
	began, clock, logged time.Time
	// statusWritten is when each object's status was written last, by key.
	statusWritten map[string]time.Time
	// saidAt is when any was written last, owedIn in what time there may be more to say than was said since; 0: there is not.
	saidAt time.Time
	owedIn time.Duration
	// grantedAt is when a pass saw other grants than the one before, and putOffSince since when statuses wait for that; zero: they do not.
	grantedAt, putOffSince time.Time
	// evicted is when a cluster was evicted last, or when it began to lead; refused are clusters of which the log takes nothing.
	evicted time.Time
	refused refusals
	// forgot is when old changes were looked for last, and how many were left.
	forgot     time.Time
	remembered int
	// looked is the revision of a secret that had its turn last of those that nobody needs.
	looked   string
	freezer  freezer
	granted  granted
	placed   placed
	contents contents
	zones    zones
	gates    *gateReadings

	revisions *decoded.Objects[ofBundle]
	tombs     *decoded.Objects[v1alpha1.Tombstone]
	tokens    *decoded.Objects[law.Token]
	told      *told
}

// ofBundle is what the leader reads of a revision: its content is as large as the bundle's.
type ofBundle struct {
	Spec struct {
		BundleUID string `json:"bundleUID"`
	} `json:"spec"`
}

// decidesOn are the prefixes whose change may call for a decision.
var decidesOn = append([]string{
	v1alpha1.KeyClusters, v1alpha1.KeyGrants, v1alpha1.KeyRollouts, v1alpha1.KeyTombstones, store.KeyMembers,
	v1alpha1.KeyObserving, v1alpha1.KeyFleets, v1alpha1.KeyRecipientGroups,
}, v1alpha1.RolledOutPrefixes...)

// lead decides for as long as this member leads. It is called by the consensus, once a leader, and returns when ctx ends.
func (c *Core) lead(ctx context.Context, term uint64) {
	now, logged := c.now(), c.store.View().Time()
	if now.Before(logged) {
		now = logged
	}
	l := &leader{
		Core: c, term: term, began: time.Now(), clock: now, logged: logged, evicted: now, refused: refusals{},
		statusWritten: map[string]time.Time{}, contents: contents{}, zones: zones{}, gates: newGateReadings(),
		revisions: decoded.New[ofBundle](v1alpha1.KeyBundleRevisions),
		tombs:     decoded.New[v1alpha1.Tombstone](v1alpha1.KeyTombstones),
		tokens:    decoded.New[law.Token](law.KeyTokens),
		told:      newTold(c),
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { c.tellVotes(ctx, term) })
	beside.Go(func() { l.askGates(ctx) })
	var stuck trouble.Trouble
	for ctx.Err() == nil {
		begun := time.Now()
		v := c.store.View()
		_, _, news := c.reports.Seen()
		err := l.decide(ctx, v)
		if ctx.Err() != nil {
			return
		}
		stuck.Tell(c.log, "leader could not write a decision", err, "term", term)
		if err != nil {
			pause.For(ctx, leaderTick/4)
			continue
		}
		l.restUnlessMoved(ctx, v, time.Since(begun))
		l.rest(ctx, v, news)
	}
}

// lasting is the wall clock as it was when this member began to lead, and the time since: a clock that is set meanwhile lets nothing
// soak, and nothing be too late, in a moment.
func (l *leader) lasting() time.Time { return l.clock.Add(time.Since(l.began)) }

// rest waits for something to decide on. What is owed is said as soon as it may be.
func (l *leader) rest(ctx context.Context, v *store.View, news <-chan struct{}) {
	if l.owedIn > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.owedIn)
		defer cancel()
	}
	l.await(ctx, decidesOn, v.Revision(), news)
}

// breathe keeps what reads the whole state at each change from keeping a processor busy while a thousand changes come: it
// rests three times as long as it has worked, and half a second at most.
func breathe(ctx context.Context, worked time.Duration) { pause.For(ctx, breathOf(worked)) }

func breathOf(worked time.Duration) time.Duration { return min(3*worked, time.Second/2) }

// restUnlessMoved breathes as others do, but not once it is known that a cluster has other labels, or a group other keys, than the pass decided by: a
// thousand grants may wait for that, and it seldom comes.
func (l *leader) restUnlessMoved(ctx context.Context, v *store.View, worked time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, breathOf(worked))
	defer cancel()
	for now := l.store.View(); !elsewhere(v, now); now = l.store.View() {
		if l.changed(ctx, wherePlaced, now.Revision()) != nil {
			return
		}
	}
}

// wherePlaced are the prefixes under which labels of clusters, and groups, lie.
var wherePlaced = []string{v1alpha1.KeyClusters, v1alpha1.KeyRecipientGroups}

// elsewhere says that bundles or secrets may be placed elsewhere by a view than by one before. What is only said of clusters, and is written
// all the time, places nothing.
func elsewhere(before, now *store.View) bool {
	for _, prefix := range wherePlaced {
		keys, known := now.Changed(prefix, before.Revision())
		if !known {
			return true
		}
		for key := range keys {
			if placesBy(before, key) != placesBy(now, key) {
				return true
			}
		}
	}
	return false
}

// placesBy is what of a cluster, or of a group, placements rest on.
func placesBy(v *store.View, key string) string {
	kv, there := v.Get(key)
	if !there {
		return ""
	}
	var o struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
		Spec   json.RawMessage `json:"spec"`
		Status struct {
			Wraps json.RawMessage `json:"wraps"`
		} `json:"status"`
	}
	if err := json.Unmarshal(kv.Value, &o); err != nil {
		return err.Error() // the pass says it
	}
	return fmt.Sprintf("%v %s %s", o.Metadata.Labels, o.Spec, o.Status.Wraps)
}

// scene is the state that one pass decides from.
type scene struct {
	view     *store.View
	freezer  *freezer
	bundles  []decoded.Object[v1alpha1.Bundle]
	clusters []decoded.Object[v1alpha1.Cluster]
	rollouts []decoded.Object[v1alpha1.Rollout]
	grants   []decoded.Object[v1alpha1.Grant]
	tombs    []decoded.Object[v1alpha1.Tombstone]

	// plan is made from the above, once a pass: what plan decides by.
	plan plan.Scene
	// looking are the clusters that only look, observing those of them that came back into a new epoch, and silent is for how long nothing was
	// heard of each since this leader leads.
	looking, observing map[string]bool
	silent             map[string]time.Duration
}

func (l *leader) look(v *store.View) (s scene, err error) {
	s = scene{view: v, looking: map[string]bool{}, observing: map[string]bool{}, silent: map[string]time.Duration{}}
	for name := range epoch.Looking(v) {
		s.looking[name], s.observing[name] = true, true
	}
	var errs [5]error
	s.bundles, errs[0] = l.decoded.Bundles.List(v)
	s.clusters, errs[1] = l.decoded.Clusters.List(v)
	s.rollouts, errs[2] = l.decoded.Rollouts.List(v)
	s.grants, errs[3] = l.decoded.Standing(v)
	s.tombs, errs[4] = l.tombs.List(v)
	s.plan = plan.Scene{Now: l.now(), Sightings: map[string]plan.Sighting{}}
	for _, c := range s.clusters {
		s.looking[c.Value.Name] = s.looking[c.Value.Name] || v1alpha1.Suspension(c.Value) != ""
		s.plan.Clusters = append(s.plan.Clusters, *c.Value)
	}
	s.plan.Sealed, s.plan.Unread = l.decoded.Bundles.Sealed(v, s.plan.Clusters), l.decoded.Bundles.Unread(v)
	known, _ := l.told.known(v)
	s.plan.Metrics = map[string]v1alpha1.ClusterMetricsStatus{}
	for cluster, told := range known {
		s.plan.Metrics[cluster] = readings(cluster, told)
	}
	sightings, now := l.sightings(v), time.Now()
	for cluster, seen := range sightings {
		s.plan.Sightings[cluster] = planned(seen, known[cluster], now)
	}
	for _, c := range s.plan.Clusters {
		heard := l.began
		if at := sightings[c.Name].At; at.After(heard) {
			heard = at
		}
		s.silent[c.Name] = now.Sub(heard)
	}
	if !decoded.Same(l.granted.of, s.grants) {
		l.granted, l.grantedAt = granted{s.grants, grantsBy(s.grants)}, time.Now()
	}
	s.plan.Grants = l.granted.by
	s.plan.Picked = l.placed.on(s)
	s.freezer = &l.freezer
	return s, errors.Join(errs[:]...)
}

// granted are grants as plan decides by them. Nobody changes them: a fleet may have a hundred thousand, and they are the same from pass to
// pass while none is written.
type granted struct {
	of []decoded.Object[v1alpha1.Grant]
	by map[string]map[string]v1alpha1.Grant
}

// placed is what placements picked, and on which ground.
type placed struct {
	clusters []decoded.Object[v1alpha1.Cluster]
	grants   []decoded.Object[v1alpha1.Grant]
	metrics  map[string]v1alpha1.ClusterMetricsStatus
	picked   plan.Picked
}

// on is what was picked on the ground of a scene, so far.
func (p *placed) on(s scene) plan.Picked {
	switch {
	case p.picked == nil || !decoded.Same(p.clusters, s.clusters) || !decoded.Same(p.grants, s.grants):
		p.picked = plan.Picked{}
	case !reflect.DeepEqual(p.metrics, s.plan.Metrics):
		p.picked.Remeasured()
	}
	p.clusters, p.grants, p.metrics = s.clusters, s.grants, s.plan.Metrics
	return p.picked
}

// planned is a sighting as plan decides by it.
func planned(s report.Sighting, f facts.Facts, now time.Time) plan.Sighting {
	p := plan.Sighting{Fresh: s.Fresh(now), Works: map[string]v1alpha1.WorkStatus{}, Aggregated: conditionOf(f.Aggregated), ControlPlane: conditionOf(f.ControlPlane)}
	for name, r := range s.Bundles {
		p.Works[name] = r.Status
	}
	return p
}

// conditionOf is what a member said of its cluster; without a status it said nothing.
func conditionOf(c *facts.Condition) metav1.Condition {
	if c == nil {
		return metav1.Condition{}
	}
	return metav1.Condition{Status: c.Status, Reason: c.Reason, Message: c.Message}
}

// sightings is what was seen last of each cluster, by the cluster's name.
func (c *Core) sightings(v *store.View) map[string]report.Sighting {
	seen, _, _ := c.reports.Seen()
	by := make(map[string]report.Sighting, len(seen))
	for _, m := range v.Members() {
		if s, ok := seen[m.ID]; ok {
			by[m.Cluster] = s
		}
	}
	return by
}

// decide makes one pass over everything that a leader decides. Grants come first: what else there is to say is said
// in the pass that they cause.
func (l *leader) decide(ctx context.Context, v *store.View) error {
	l.owedIn = 0
	if v.Revision() == 0 {
		return l.found(ctx)
	}
	v, uncleared := l.clear(ctx, v)
	s, err := l.look(v)
	if err != nil {
		return errors.Join(uncleared, err)
	}
	if err := l.tellTime(ctx, s); err != nil {
		return errors.Join(uncleared, err)
	}
	if epoch.NobodyActs(v) { // nothing is granted, withdrawn or collected before a person says go
		return errors.Join(uncleared, l.writeStatuses(ctx, s), l.orderBackup(ctx, s))
	}
	errs := []error{uncleared}
	for _, t := range s.tombs {
		errs = append(errs, l.strikeAdopted(ctx, s, t))
	}
	errs = append(errs, l.arrange(ctx, s))
	l.owes(l.saysIn())
	if l.owedIn == 0 && l.store.View().Revision() == v.Revision() {
		errs = append(errs, l.writeStatuses(ctx, s), l.collect(ctx, s), l.raise(ctx, s))
	}
	return errors.Join(append(errs, l.forget(ctx, s), l.orderBackup(ctx, s))...)
}

// toldEvery is how far the log's time may be behind.
const toldEvery = time.Hour

// owes says that there is more to say in a while, if that is not over.
func (l *leader) owes(in time.Duration) { l.owedIn = max(in, 0) }

// tellTime lets time pass in the log of a fleet that writes nothing: what people write is held to that time, and they may come
// after days.
func (l *leader) tellTime(ctx context.Context, s scene) error {
	if s.plan.Now.Sub(s.view.Time()) < toldEvery {
		return nil
	}
	_, err := l.node.Propose(ctx, consensus.Proposal{Term: l.term})
	return err
}

// write proposes a decision of this leader.
func (l *leader) write(ctx context.Context, conditions []store.Condition, ops ...store.Op) error {
	if len(ops) == 0 {
		return nil
	}
	_, err := l.proposeDecision(ctx, l.term, conditions, ops...)
	return err
}

// proposeDecision proposes what the leader of a term decided, and says whether it was written. What was overtaken by another write is no
// error: the next pass sees it.
func (c *Core) proposeDecision(ctx context.Context, term uint64, conditions []store.Condition, ops ...store.Op) (written bool, err error) {
	at, err := c.proposeTxn(ctx, term, store.Txn{If: conditions, Then: ops})
	return at > 0, err
}

// proposeTxn is proposeDecision for who goes on from the revision that it made; 0: it was not written.
func (c *Core) proposeTxn(ctx context.Context, term uint64, txn store.Txn) (at store.Revision, err error) {
	result, err := c.node.Propose(ctx, consensus.Proposal{Term: term, Txn: txn})
	switch {
	case errors.As(err, new(*store.Conflict)):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return result.Revision, nil
}
