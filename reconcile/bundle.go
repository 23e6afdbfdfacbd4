package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// bundle carries the grant of one bundle out. One goroutine owns all of it but the mailbox.
//
//	            ┌──────────── newer grant ────────────┐
//	            ▼                                     │
//	begin ─▶ rolling in ── every object tried ─▶ tending ◀─┐ events, retries
//	   │                                              └────┘
//	   ├──▶ withdrawing ── nothing left, struck off ─▶ done
//	   └──▶ observing ◀─▶ looked at, again and again, until a grant that is to be carried out
type bundle struct {
	s      *session
	name   string
	label  string
	mail   *mailbox
	logger *slog.Logger
	stop   func()
	done   chan struct{}

	offered Grant // the session's: what was last left in the mailbox

	phase    phase
	grant    Grant
	objects  []*object
	wanted   map[key]*object
	before   map[key]*object           // what the grant before this one wanted, if both ask for it in the same way
	brings   map[schema.GroupKind]bool // see definedKinds
	have     stored                    // the inventory in the cluster
	sure     bool                      // have is what lies there, as far as this session wrote it
	inv      inventory                 // the inventory to be
	damaged  string                    // why the inventory in the cluster is not trusted
	adopted  bool                      // the inventory was an earlier bundle's, so nothing is pruned
	resumed  bool                      // the revision was carried out before this session
	unsaved  bool                      // inv holds what have does not
	refused  uint64                    // the store revision of an older grant that came later
	faulty   *Grant                    // one that cannot be rendered, and came after grant
	runs     string                    // the revision that was carried out last, as far as known
	leaving  leaving
	withdraw withdrawal
	retry    backoff       // after an error that is not about an object
	looked   time.Time     // when a look at a bundle that is only observed ended
	rest     time.Duration // how long it is let be after that, whatever happens
	lookAt   time.Time     // when it is looked at next

	brought    int64 // the correction that the grant had when it was begun: rolling in carries that out
	correcting int64 // the correction that is being carried out

	gates    []v1alpha1.WorkGate // what the objects of the grant's gates said last
	gatesDue time.Time           // when they are looked at next
}

// phase is where a grant is on its way.
type phase uint8

const (
	idle phase = iota // no grant, an old one, or done with a withdrawal
	rolling
	tending
	withdrawing
	observing
)

// offer leaves a grant, unless it is the last one.
func (b *bundle) offer(g Grant) {
	if !b.offered.asks(g) || !b.offered.sameGates(g) || b.offered.Correct.Number != g.Correct.Number {
		b.offered = g
		b.mail.leave(g)
	}
}

// asks says that another grant asks for the same.
func (g Grant) asks(same Grant) bool {
	return g.Bundle == same.Bundle && g.BundleUID == same.BundleUID && g.Revision == same.Revision && g.Withdraw == same.Withdraw && g.Observe == same.Observe && g.Suspended == same.Suspended &&
		g.Frozen == same.Frozen && g.Fault == same.Fault &&
		g.Drift == same.Drift && g.Deletion == same.Deletion && g.Adopt == same.Adopt
}

// sameGates says that what was seen of the gates of a grant is of another one, too.
func (g Grant) sameGates(other Grant) bool {
	return g.At == other.At && equality.Semantic.DeepEqual(g.Gates, other.Gates)
}

// run takes up grants and events until ctx ends.
func (b *bundle) run(ctx context.Context) {
	for ctx.Err() == nil {
		if g, newer := b.mail.newer(); newer {
			b.take(g)
		}
		err := b.step(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := time.Hour
		if err != nil {
			wait = b.retry.next()
			b.setback(err)
		} else {
			b.retry.reset()
			if due, any := b.nextDue(); any {
				wait = max(time.Until(due), 0)
			}
		}
		b.sleep(ctx, wait, err != nil)
	}
}

// sleep waits until something was left in the mailbox, or for a time. After an error events do not shorten it: what
// failed would fail again.
func (b *bundle) sleep(ctx context.Context, d time.Duration, failed bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-b.mail.bell:
			if failed && !b.mail.waiting() {
				continue
			}
		}
		return
	}
}

// take begins a grant, unless it is older than the one that is being carried out: that one is gone on with.
func (b *bundle) take(g Grant) {
	if b.phase != idle && b.refused == 0 && b.faulty == nil && b.grant.asks(g) {
		if !b.grant.sameGates(g) {
			b.gates, b.gatesDue = nil, time.Time{}
		}
		b.grant.At, b.grant.Gates, b.grant.Correct = g.At, g.Gates, g.Correct // it is gone on with, and what is said from here on is of this one
		return
	}
	if b.phase != idle && b.phase != observing && b.isOlder(g) {
		b.refused = g.StoreRevision
		b.logger.Warn("older grant refused", logRevision, g.Revision)
		return
	}
	b.refused = 0
	if b.faulty = nil; g.Fault != "" {
		b.faulty = &g
		b.s.inventories.ask(b.name) // it may be changed by hand before it is taken
		b.logger.Warn("grant cannot be rendered", logRevision, g.Revision, logError, g.Fault)
		b.post("")
		return
	}
	b.begin(g)
}

// begin takes up a grant: nothing has been read or done for it yet.
func (b *bundle) begin(g Grant) {
	before := b.wanted
	b.sure = b.sure && (b.phase == rolling || b.phase == tending) && b.damaged == ""
	b.before = nil
	if b.goesOn(g) {
		b.before = before
	}
	b.grant, b.phase = g, rolling
	b.objects, b.wanted, b.leaving = nil, map[key]*object{}, b.newLeaving()
	b.damaged, b.adopted, b.resumed, b.unsaved = "", false, false, b.sure && b.unsaved
	b.withdraw = withdrawal{}
	b.retry.reset()
	b.lookAt = time.Time{}
	b.gates, b.gatesDue = nil, time.Time{}
	b.brought, b.correcting = g.Correct.Number, 0
	if g.Observe {
		b.phase = observing
	} else if g.Withdraw {
		b.phase = withdrawing
		return
	}
	for i := range g.Objects {
		b.objects = append(b.objects, read(&g.Objects[i]))
	}
	b.brings = definedKinds(b.objects)
	for _, o := range b.objects { // what was repaired often stays slow
		if old := before[o.key]; old != nil {
			o.pace = old.pace
		}
	}
}

// step does what can be done now. An error means that it is to be tried again, whole.
func (b *bundle) step(ctx context.Context) error {
	switch b.phase {
	case rolling:
		return b.rollIn(ctx)
	case tending:
		return b.tend(ctx)
	case withdrawing:
		return b.pullOut(ctx)
	case observing:
		return b.observe(ctx)
	}
	if b.isGivenUp() {
		return b.lookAgain(ctx)
	}
	return nil
}

// setback posts what keeps the bundle from being carried out.
func (b *bundle) setback(err error) {
	if isLost(err) {
		err = errors.Join(errors.New("somebody else writes the inventory"), err)
	}
	b.logger.Warn("carrying out failed, will be tried again", logRevision, b.grant.Revision, logError, err)
	if b.phase == withdrawing && b.withdraw.empty {
		return // only the fleet has not heard of it yet
	}
	b.postUnknown(err)
}

// rollIn carries out a grant from the start.
func (b *bundle) rollIn(ctx context.Context) error {
	if !b.sure || b.leavesSome() {
		if err := b.loadInventory(ctx, b.s.inventories.first); err != nil {
			return err
		}
	}
	if b.refuseOld() {
		return nil
	}
	if err := b.foresee(ctx); err != nil {
		return err
	}
	b.post(reasonApplying)
	if err := b.carryOut(ctx, b.due(time.Now()), true); err != nil {
		return err
	}
	if b.mail.waiting() {
		return nil
	}
	b.rolledIn()
	return b.finish(ctx)
}

// rolledIn notes that every object of the grant was tried.
func (b *bundle) rolledIn() {
	b.phase = tending
	if b.inv.revision != b.grant.Revision {
		b.unsaved = true
		b.s.board.carriedOut(b.name, b.grant.BundleUID, b.grant.Revision)
	}
	b.inv.revision, b.runs = b.grant.Revision, b.grant.Revision
	if !b.resumed { // all of it was applied; an order that came meanwhile may be about what changed since
		b.noteCorrected(b.brought)
	}
	b.mail.ring() // events that came meanwhile are heeded now
	b.logger.Info("carried out", logRevision, b.grant.Revision, logCount, len(b.objects))
}

// tend looks after what was carried out.
func (b *bundle) tend(ctx context.Context) error {
	b.heed()
	b.takeCorrection()
	if err := b.carryOut(ctx, b.due(time.Now()), false); err != nil {
		return err
	}
	b.endCorrection()
	return b.finish(ctx)
}

// finish prunes when it may, and writes down what came of it all.
func (b *bundle) finish(ctx context.Context) error {
	if err := b.prune(ctx); err != nil {
		return err
	}
	if err := b.save(ctx); err != nil {
		return err
	}
	b.lookAtGates(ctx)
	b.post("")
	return nil
}

// loadInventory reads what lies in the cluster, and prepares what is to lie there.
func (b *bundle) loadInventory(ctx context.Context, load func(context.Context, string) (stored, error)) error {
	have, err := load(ctx, b.name)
	if err != nil && !errors.Is(err, errDamaged) {
		return err
	}
	if err == nil && have.head == "" && b.have.head != "" {
		b.logger.Warn("the inventory is gone, so what has left the bundle stays")
	}
	b.have, b.sure, b.damaged, b.unsaved = have, err == nil, "", false
	b.inv = have.inventory.clone()
	if b.inv.revision != "" {
		b.runs = b.inv.revision
	}
	if err != nil {
		b.damaged = err.Error()
		b.logger.Warn("nothing is pruned", logError, err)
	}
	return nil
}

// foresee writes down, before anything is applied, what is going to be.
func (b *bundle) foresee(ctx context.Context) error {
	g := b.grant
	b.adopted = b.have.head != "" && b.inv.bundleUID != g.BundleUID
	if b.adopted { // what the earlier bundle had and this one has not is let go of, never pruned
		b.logger.Info("taking over the inventory of an earlier bundle of this name", logCount, len(b.inv.entries))
	}
	b.resumed = !b.adopted && b.damaged == "" && b.inv.has(g)
	if err := b.place(ctx, b.objects); err != nil {
		return err
	}
	if b.adopted || b.damaged != "" {
		maps.DeleteFunc(b.inv.entries, func(k key, _ entry) bool { return !b.isWanted(k) })
	}
	b.unsaved = b.unsaved || b.have.head == "" || b.damaged != "" || b.adopted || b.inv.storeRevision != g.StoreRevision || b.inv.epochID != g.Epoch.ID || b.inv.deletion != g.Deletion
	b.inv.bundleUID, b.inv.storeRevision, b.inv.deletion = g.BundleUID, g.StoreRevision, g.Deletion
	b.inv.epoch, b.inv.epochID = g.Epoch.Number, g.Epoch.ID
	if !b.resumed {
		b.inv.revision = ""
	}
	b.letGo()
	b.list(b.objects)
	b.spare()
	b.noteAll()
	if err := b.save(ctx); err != nil {
		return err
	}
	b.watchKinds(ctx)
	for _, o := range b.objects {
		if o.todo == rollIn && b.resumed && b.inv.entries[o.key].uid != "" {
			o.todo = restore
		}
	}
	return nil
}

// place finds where the objects are served. The kinds that the bundle's own definitions bring are known before they are.
func (b *bundle) place(ctx context.Context, objects []*object) error {
	for _, o := range objects {
		if o.mapped || malformed(o.manifest) != "" || forbidden(o.key) {
			continue
		}
		m, err := b.s.kinds.exactly(ctx, o.gvk)
		switch {
		case err == nil:
			o.place(m)
		case ctx.Err() != nil || isUnreachable(err):
			return err
		default:
			if namespaced, known := b.brings[o.gvk.GroupKind()]; known {
				o.key.namespace = namespaceFor(o.manifest.GetNamespace(), namespaced)
			}
			b.wanted[o.key] = o
			continue
		}
		if twin := b.wanted[o.key]; twin != nil && twin != o {
			o.problem = problem{ReasonRefused, "the bundle holds two objects of this name"}
			o.todo, o.mapped = nothing, false
			continue
		}
		b.wanted[o.key] = o
	}
	b.listen()
	return nil
}

// listen asks for the events of all objects that the bundle wants.
func (b *bundle) listen() {
	keys := map[key]bool{}
	for k := range b.wanted {
		keys[k] = true
	}
	for k := range b.inv.entries {
		keys[k] = true
	}
	b.mail.want(keys)
}

// isWanted says that a listed object is still of the bundle. An object of a kind that the cluster does not serve now
// may have another namespace than its manifest says, so any of its name counts.
func (b *bundle) isWanted(k key) bool {
	if b.wanted[k] != nil {
		return true
	}
	for _, o := range b.objects {
		if !o.mapped && o.key.GroupKind == k.GroupKind && o.key.name == k.name {
			return true
		}
	}
	return false
}

// list puts objects on the inventory to be, without UID for now.
func (b *bundle) list(objects []*object) {
	for _, o := range objects {
		if b.wanted[o.key] != o {
			continue
		}
		if _, listed := b.inv.entries[o.key]; !listed {
			b.inv.entries[o.key] = entry{version: o.gvk.Version}
			b.unsaved = true
		}
	}
}

// letGo writes down of what the bundle has no more, and of which it is still the owner, that it goes by policy Orphan: a later revision of
// another policy may come before it is gone. Once let go of, only the very object is of the bundle again.
func (b *bundle) letGo() {
	for k, e := range b.inv.entries {
		orphaned := b.wanted[k] == nil && (e.orphaned || !b.isWanted(k) && b.grant.Deletion == v1alpha1.DeletionOrphan)
		if orphaned != e.orphaned {
			e.orphaned, b.unsaved = orphaned, true
			b.inv.entries[k] = e
		}
	}
}

// note puts the UID of an applied object on the inventory to be.
func (b *bundle) note(o *object) {
	if e := b.inv.entries[o.key]; e.uid != o.applied.uid && o.applied.uid != "" {
		b.inv.entries[o.key] = entry{version: o.gvk.Version, uid: o.applied.uid}
		b.unsaved = true
	}
}

// noteAll notes what an attempt before this one applied, and could not write down.
func (b *bundle) noteAll() {
	for _, o := range b.wanted {
		if o.applied != nil {
			b.note(o)
		}
	}
}

// save writes the inventory if it is not what lies in the cluster.
func (b *bundle) save(ctx context.Context) error {
	if !b.unsaved {
		return nil
	}
	have, err := b.s.inventories.save(ctx, b.have, b.inv)
	b.have, b.sure = have, err == nil
	if err != nil {
		b.readAgain(err)
		return err
	}
	b.unsaved = false
	return nil
}

// readAgain has the inventory read again when an error says that somebody else wrote it, or that an own write came through after all.
func (b *bundle) readAgain(err error) {
	switch {
	case !isLost(err):
	case b.phase == withdrawing:
		b.withdraw = withdrawal{}
	default:
		b.phase = rolling
	}
}

// watchKinds watches exactly the kinds of what the bundle has and of what is on its way out.
func (b *bundle) watchKinds(ctx context.Context) {
	use := map[schema.GroupKind]mapping{}
	for k := range b.inv.entries {
		if _, done := use[k.GroupKind]; done {
			continue
		}
		if m, err := b.s.kinds.any(ctx, k.GroupKind); err == nil {
			use[k.GroupKind] = m
		}
	}
	b.s.watches.use(b.name, use)
}

// policyOf is the deletion policy that counts for what runs now.
func (b *bundle) policyOf() v1alpha1.DeletionPolicy {
	if b.inv.deletion != "" {
		return b.inv.deletion
	}
	return b.grant.Deletion
}
