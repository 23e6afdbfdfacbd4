package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// part is what clusters of one stage need; without stages there is one of all.
type part struct {
	stage string
	needs map[string]need
}

// parts are the needs by stage, in the order of the stages. Clusters that may still do what they were granted come before: their fault
// domain is in change until they have something newer, and nothing else could begin.
func (c *course) parts(needs map[string]need) (parts []part) {
	if len(c.active.Spec.Stages)+len(c.active.Spec.Windows) == 0 && (c.bundle == nil || len(c.bundle.Spec.DependsOn) == 0) {
		return []part{{needs: needs}}
	}
	by, h := map[bool]map[string]map[string]need{true: {}, false: {}}, c.homes()
	for cluster, n := range needs {
		stage, first := h.stageOf(cluster), h.dangles(cluster)
		if by[first][stage] == nil {
			by[first][stage] = map[string]need{}
		}
		by[first][stage][cluster] = n
	}
	for _, first := range []bool{true, false} {
		for _, stage := range c.stages() {
			parts = append(parts, part{stage: stage, needs: by[first][stage]})
		}
	}
	return parts
}

// stages are the names of the stages, in their order: one without a name where there are none.
func (c *course) stages() (names []string) {
	if len(c.active.Spec.Stages) == 0 {
		return []string{""}
	}
	for _, s := range c.active.Spec.Stages {
		names = append(names, s.Name)
	}
	return append(names, v1alpha1.StageOthers)
}

// stageOf is the stage that a cluster is in.
func (h homes) stageOf(cluster string) string {
	for _, s := range h.active.Spec.Stages {
		if cl := h.cluster(cluster); cl != nil && s.Has(cl, h.of(cluster)) {
			return s.Name
		}
	}
	stages := h.stages()
	return stages[len(stages)-1]
}

// stageOf is what a rollout says of the stage of a wave.
func stageOf(r *v1alpha1.Rollout, w v1alpha1.Wave) v1alpha1.RolloutStage {
	if i := rankOf(r, w); i < len(r.Spec.Stages) {
		return r.Spec.Stages[i]
	}
	return v1alpha1.RolloutStage{Name: w.Stage}
}

// rankOf is the place of a wave's stage among the stages; that of the others is behind them.
func rankOf(r *v1alpha1.Rollout, w v1alpha1.Wave) int {
	i := slices.IndexFunc(r.Spec.Stages, func(s v1alpha1.RolloutStage) bool { return s.Name == w.Stage })
	if i < 0 {
		return len(r.Spec.Stages)
	}
	return i
}

// rank is the place of the stage whose turn it is: the first that is not over. Who comes to one that has been settled, and waits there, holds
// the later ones up no more.
func (c *course) rank() int {
	least := len(c.active.Spec.Stages)
	for i, w := range c.active.Spec.Waves {
		if !c.active.Status.Waves[i].Over() && !forJoiners(w) && !c.late(i) {
			least = min(least, rankOf(c.active, w))
		}
	}
	return least
}

// late says that a wave came to a stage that had been settled, and waits there.
func (c *course) late(i int) bool {
	w := c.active.Spec.Waves[i]
	return w.Late && c.active.Status.Waves[i].Granted == nil && c.waitOf(w) != nil
}

// settledStages are the stages of which a wave of the change has settled, and none is to come but those that came late. Who joins gets the last
// good revision first: that is nothing of the change.
func (c *course) settledStages() map[string]bool {
	settled, ahead := map[string]bool{}, map[string]bool{}
	for i, w := range c.active.Spec.Waves {
		s := c.active.Status.Waves[i]
		switch {
		case forJoiners(w):
		case s.Settled != nil:
			settled[w.Stage] = true
		case !s.Over() && !w.Late:
			ahead[w.Stage] = true
		}
	}
	maps.DeleteFunc(settled, func(stage string, _ bool) bool { return ahead[stage] })
	return settled
}

// forJoiners says that a wave gives the last good revision, which the fleet has: it waits for no stage.
func forJoiners(w v1alpha1.Wave) bool { return w.Revision != "" }

// asksNobody says that a wave waits for no person's word and no window: what it gives ran well before.
func (c *course) asksNobody(w v1alpha1.Wave) bool { return c.active.Spec.Moves || forJoiners(w) }

// hasTurn says that a wave need not wait for other stages, where the turn is with the stage at rank.
func (c *course) hasTurn(i, rank int) bool {
	w := c.active.Spec.Waves[i]
	return c.active.Spec.Orders.AllAtOnce || rankOf(c.active, w) <= rank || forJoiners(w) || c.underWay(w)
}

// underWay says that clusters of a wave to come may still do what a rollout before this one granted them.
func (c *course) underWay(w v1alpha1.Wave) bool {
	there := func(carried v1alpha1.Wave) bool { return carried.Domain == w.Domain }
	return slices.ContainsFunc(c.active.Spec.Carried, there) && slices.ContainsFunc(slices.Concat(w.Clusters, w.Withdraw), c.homes().dangles)
}

// ahead says that a wave keeps its fault domain in change: it is granted, or comes to it by itself. What waits for another stage, for a person,
// or for another bundle, lets others go on meanwhile.
func (c *course) ahead(i, rank int) bool {
	w, s := c.active.Spec.Waves[i], c.active.Status.Waves[i]
	switch {
	case s.Over():
		return false
	case s.Open() || c.underWay(w):
		return true
	}
	return c.hasTurn(i, rank) && c.goesOn(w) && c.waitOf(w) == nil && c.heir(i) == "" && c.keptUntilWord(w) == "" && (!c.planned || c.lacks(i) == "")
}

// goesOn says that a wave to come is in a stage that has begun in its fault domain. Who has stages begins each anew, in the order of the domains;
// so does a change in those that are in change only for who joins.
func (c *course) goesOn(w v1alpha1.Wave) bool {
	begun := func(of func(v1alpha1.Wave) bool) bool {
		return c.some(func(other v1alpha1.Wave, s v1alpha1.WaveStatus) bool {
			return s.Granted != nil && other.Domain == w.Domain && of(other)
		})
	}
	if len(c.active.Spec.Stages) > 0 {
		return begun(func(other v1alpha1.Wave) bool { return other.Stage == w.Stage && !forJoiners(other) })
	}
	return c.begunIn(w.Domain) || !begun(forJoiners)
}

// waitOf is what a wave waits for that has its turn, nil for nothing. What is under way is finished, whatever window is open.
func (c *course) waitOf(w v1alpha1.Wave) *v1alpha1.RolloutWait {
	if c.active.Spec.Orders.AllAtOnce || c.asksNobody(w) {
		return nil
	}
	wait, known := c.waits[w.Stage]
	if !known {
		wait = c.stageWaits(stageOf(c.active, w))
		c.waits[w.Stage] = wait
	}
	if wait == nil || wait.For == v1alpha1.WaitForWindow && c.underWay(w) {
		return nil
	}
	return wait.DeepCopy()
}

// stageWaits is what the waves of a stage wait for.
func (c *course) stageWaits(stage v1alpha1.RolloutStage) *v1alpha1.RolloutWait {
	if stage.Approval == v1alpha1.StageApprovalRequired && !c.letBegin(stage.Name) {
		return &v1alpha1.RolloutWait{For: v1alpha1.WaitForApproval, Stage: stage.Name, Since: *c.stamp()}
	}
	windows := stage.Windows
	if len(windows) == 0 {
		windows = c.active.Spec.Windows
	}
	if open, opens := c.windowed(windows); !open {
		return &v1alpha1.RolloutWait{For: v1alpha1.WaitForWindow, Stage: stage.Name, Since: *c.stamp(), Until: opens}
	}
	return nil
}

// letBegin says that a person let a stage begin, in this rollout or in one of the same change before it.
func (c *course) letBegin(stage string) bool {
	return c.ordered(func(o v1alpha1.RolloutOrders) bool { return slices.Contains(o.Stages, stage) })
}

// ordered says that a person has said something of a change, in its rollout or in one of the same change before it.
func (c *course) ordered(said func(v1alpha1.RolloutOrders) bool) bool {
	same := changeOf(c.active)
	for r := range c.all() { // one that has just begun has no orders yet
		if same.is(r) && said(r.Spec.Orders) {
			return true
		}
	}
	return false
}

// keepsWaiting says that the rollout keeps a fault domain that it found unsettled, and waits for a person before it goes on there.
func (c *course) keepsWaiting() bool {
	return c.running() != nil && c.some(func(w v1alpha1.Wave, s v1alpha1.WaveStatus) bool {
		return s.Granted == nil && c.underWay(w) && c.waitOf(w) != nil
	})
}

// waiting keeps since when a stage waits for the same. A fault domain waits for a person's word when no wave of the change is open, nor given just now.
func (c *course) waiting(before *v1alpha1.RolloutWait) {
	if now := c.active.Status.Wait; now != nil && now.Domain != "" && c.opened() {
		c.active.Status.Wait = nil
	}
	if now := c.active.Status.Wait; now != nil && before != nil && now.For == before.For && now.Stage == before.Stage && now.Domain == before.Domain {
		now.Since = before.Since
	}
}

// opened says that a wave of the change is under way.
func (c *course) opened() bool {
	return c.some(func(w v1alpha1.Wave, s v1alpha1.WaveStatus) bool { return s.Open() && !forJoiners(w) })
}

// reasonOf is what a stage waits for.
func reasonOf(w *v1alpha1.RolloutWait) v1alpha1.RolloutReason {
	if w.For == v1alpha1.WaitForApproval {
		return v1alpha1.RolloutWaitsForApproval
	}
	return v1alpha1.RolloutWaitsForWindow
}

// waitText says what a stage waits for, and what to do, for people.
func (c *course) waitText(w *v1alpha1.RolloutWait) string {
	who := "it"
	if w.Stage != "" {
		who = "stage " + w.Stage
	}
	switch {
	case w.Domain != "":
		return c.letInText(w.Domain)
	case w.For == v1alpha1.WaitForApproval:
		return fmt.Sprintf("%s waits for a person: hanse rollout approve %s %s", who, c.active.Name, w.Stage)
	case w.Until == nil:
		return who + " waits for a window, and none opens"
	}
	return fmt.Sprintf("%s waits for its window, which opens %s", who, w.Until.UTC().Format("2006-01-02 15:04Z"))
}

// soakOf is how long a wave soaks, within its bounds, whoever wrote the bundle.
func (c *course) soakOf(w v1alpha1.Wave) time.Duration {
	if soak := stageOf(c.active, w).Soak; soak != nil {
		return min(max(soak.Duration, 0), v1alpha1.MaxSoak)
	}
	return c.active.Spec.Soak.Duration
}
