package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// outcome is what came of applying, or checking, one object.
type outcome struct {
	seen     *sighting // the object afterwards; nil when it is not there
	problem  problem
	leaving  bool   // it is being deleted, so nothing was done
	replaced bool   // by us, to be made anew
	differs  bool   // it was not as wanted before
	left     bool   // and was left so
	manager  string // who had last written it
	err      error  // the way to kube-apiserver failed
}

func (b *bundle) resource(o *object) dynamic.ResourceInterface {
	return b.s.resource(o.at, o.key.namespace)
}

func (s *session) resource(m mapping, namespace string) dynamic.ResourceInterface {
	r := s.client.Resource(m.resource)
	if !m.namespaced {
		return r
	}
	return r.Namespace(namespace)
}

// try brings one object into the cluster. It only reads the bundle, so that several run at once. A kind that the
// bundle itself brings may take a moment longer than its definition to be served.
func (b *bundle) try(ctx context.Context, o *object) outcome {
	_, own := b.brings[o.gvk.GroupKind()]
	until := time.Now().Add(discoveryLag)
	for {
		out := b.tryOnce(ctx, o)
		if out.problem.reason != ReasonUnknownKind || !own || b.phase != rolling || time.Now().After(until) {
			return out
		}
		pause.For(ctx, 100*time.Millisecond)
	}
}

func (b *bundle) tryOnce(ctx context.Context, o *object) outcome {
	ctx, cancel := context.WithTimeout(ctx, b.s.timing.Request)
	defer cancel()
	var out outcome
	switch live := b.s.tracker.get(o.key); {
	case live != nil && !b.checks(o):
		out = b.bring(ctx, o, live)
	case b.isNew(o):
		if out = b.create(ctx, o); apierrors.IsConflict(out.err) { // it is there
			out = b.look(ctx, o)
		}
	default:
		out = b.look(ctx, o)
	}
	// Whose an object is, is decided about one version of it, and only that version is written.
	for range 5 {
		if !apierrors.IsConflict(out.err) || isFieldConflict(out.err) {
			break
		}
		out = b.look(ctx, o)
	}
	return out.asProblem(o)
}

// isNew says that an object which the watch does not know is expected not to be there, so that looking for it first would
// tell nothing: making it fails when it is.
func (b *bundle) isNew(o *object) bool {
	return !b.checks(o) && o.problem.reason == "" && (b.grant.Adopt == v1alpha1.AdoptNever || b.had(o))
}

// look reads the object, and then applies or checks it.
func (b *bundle) look(ctx context.Context, o *object) outcome {
	live, err := b.resource(o).Get(ctx, o.key.name, metav1.GetOptions{})
	switch {
	case err == nil && b.checks(o):
		return b.check(ctx, o, live)
	case err == nil:
		s := sight(live)
		return b.bring(ctx, o, &s)
	case !apierrors.IsNotFound(err) || isKindGone(err):
		return outcome{err: err}
	case b.checks(o):
		return outcome{differs: true, left: true}
	}
	return b.bring(ctx, o, nil)
}

// asProblem turns an error about the object into its problem.
func (out outcome) asProblem(o *object) outcome {
	if out.err != nil && !isAway(out.err) {
		out.problem, out.err = problemOf(o.gvk.GroupKind(), out.err), nil
	}
	out.err = wordless(o.gvk.GroupKind(), out.err)
	return out
}

// bring applies the object if it is ours to apply; live is what is there.
func (b *bundle) bring(ctx context.Context, o *object, live *sighting) outcome {
	switch b.claimOf(o, live) {
	case absent:
		return b.create(ctx, o)
	case foreign:
		if why, err := b.mayTake(ctx, o, *live); err != nil || why.reason != "" {
			return outcome{problem: why, err: err}
		}
	}
	if live.deleting {
		return outcome{seen: live, leaving: true}
	}
	u, err := b.patch(ctx, o, live, metav1.PatchOptions{Force: new(true)})
	if err != nil {
		return b.refusedChange(ctx, o, err)
	}
	seen := sight(u)
	return outcome{seen: &seen, differs: seen.version != live.version, manager: live.manager}
}

func (b *bundle) claimOf(o *object, live *sighting) claim {
	var listed *entry
	if e, found := b.inv.entries[o.key]; found {
		listed = &e
	}
	return whose(live, listed, b.label, b.s.isGranted)
}

// create applies an object that is not there. Should there be one, then the server refuses it, a conflict. Of a server that does not,
// nothing is overwritten, and the object is let go of again.
func (b *bundle) create(ctx context.Context, o *object) outcome {
	u, err := b.patch(ctx, o, nil, metav1.PatchOptions{Force: new(false)})
	if err != nil {
		return outcome{err: err}
	}
	seen := sight(u)
	if seen.manager != "" && b.grant.Adopt != v1alpha1.AdoptAlways {
		seen.bundle = ""
		return outcome{problem: problem{ReasonConflict, conflictMessage(seen, b.label)}, err: b.s.release(ctx, b.resource(o), u)}
	}
	return outcome{seen: &seen, differs: true}
}

func (b *bundle) patch(ctx context.Context, o *object, seen *sighting, options metav1.PatchOptions) (*unstructured.Unstructured, error) {
	body, err := o.body(b.name, seen)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	options.FieldManager = FieldManager
	return b.resource(o).Patch(ctx, o.key.name, types.ApplyPatchType, body, options)
}

// carryOut applies objects, stage by stage. Whole means that the rest waits for definitions to become usable.
func (b *bundle) carryOut(ctx context.Context, due []*object, whole bool) error {
	for _, stage := range byStage(due) {
		if whole && b.mail.waiting() {
			continue
		}
		if err := b.carry(ctx, stage); err != nil {
			return err
		}
		if !stage[0].isDefinition() {
			continue
		}
		b.retryNow()
		if !whole {
			continue
		}
		if err := b.awaitDefinitions(ctx, stage); err != nil {
			return err
		}
	}
	return nil
}

// carry applies objects at once, after they were listed in the inventory.
func (b *bundle) carry(ctx context.Context, objects []*object) error {
	ready, err := b.makeReady(ctx, objects)
	if err != nil || len(ready) == 0 {
		return err
	}
	outcomes := make([]outcome, len(ready))
	each(ctx, b.s, ready, func(i int, o *object) {
		outcomes[i] = b.try(ctx, o)
		if s := outcomes[i].seen; s != nil {
			b.s.tracker.note(o.key, *s)
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var errs []error
	for i, o := range ready {
		if outcomes[i].err != nil {
			errs = append(errs, outcomes[i].err)
			continue
		}
		b.settle(o, outcomes[i])
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// makeReady finds where the objects are served, lists and watches them. Those of unknown kinds are left out.
func (b *bundle) makeReady(ctx context.Context, objects []*object) ([]*object, error) {
	unplaced := false
	for _, o := range objects {
		unplaced = unplaced || !o.mapped
	}
	if unplaced {
		if err := b.placeNew(ctx, objects); err != nil {
			return nil, err
		}
	}
	var ready []*object
	for _, o := range objects {
		if o.mapped {
			ready = append(ready, o)
		} else if o.problem.reason != ReasonRefused {
			b.fail(o, problem{ReasonUnknownKind, "the cluster does not serve the kind " + o.gvk.String()})
		}
	}
	b.letGo() // kinds that came may tell what is not of the bundle
	b.list(ready)
	if err := b.save(ctx); err != nil {
		return nil, err
	}
	if unplaced {
		b.watchKinds(ctx)
	}
	b.awaitWatches(ctx, ready)
	return ready, nil
}

// placeNew places objects of kinds that may have just come. A kind that the bundle itself brings is waited for: the
// server lists it a moment after its definition is established.
func (b *bundle) placeNew(ctx context.Context, objects []*object) error {
	until := time.Now().Add(discoveryLag)
	for {
		if err := b.place(ctx, objects); err != nil {
			return err
		}
		late := false
		for _, o := range objects {
			_, own := b.brings[o.gvk.GroupKind()]
			late = late || own && !o.mapped && o.problem.reason == "" && b.phase == rolling
		}
		if !late || time.Now().After(until) {
			return nil
		}
		if !pause.For(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// discoveryLag is how long a kind may take to be listed after its definition is established.
const discoveryLag = 5 * time.Second

// awaitWatches waits until the watches know the objects, for a moment: without them each object is asked for.
func (b *bundle) awaitWatches(ctx context.Context, objects []*object) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, o := range objects {
		b.s.watches.await(ctx, o.key.GroupKind)
	}
}

// awaitDefinitions waits until definitions and namespaces are usable, for as long as that may take. Events are
// heeded meanwhile.
func (b *bundle) awaitDefinitions(ctx context.Context, definitions []*object) error {
	deadline := time.NewTimer(b.s.timing.Establish)
	defer deadline.Stop()
	for !b.mail.waiting() {
		if usable(b.s.tracker, definitions) {
			return nil
		}
		select {
		case <-b.mail.bell:
			b.heed()
			urgent := slices.DeleteFunc(b.due(time.Now()), func(o *object) bool { return o.todo != putBack })
			if err := b.carry(ctx, urgent); err != nil {
				return err
			}
		case <-deadline.C:
			for _, o := range definitions {
				o.late = true
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// settle takes in what came of an object.
func (b *bundle) settle(o *object, out outcome) {
	why := o.todo
	switch {
	case out.problem.reason != "":
		b.fail(o, out.problem)
		return
	case out.leaving:
		b.awaitEnd(o, out.replaced)
		return
	}
	o.todo, o.problem, o.going, o.stuck, o.correct = nothing, problem{}, time.Time{}, false, false
	o.retry.reset()
	if out.seen == nil {
		o.applied = &applied{drifted: out.left}
	} else {
		o.applied = &applied{uid: out.seen.uid, version: out.seen.version, fields: out.seen.fields, drifted: out.left}
		b.note(o)
	}
	b.account(o, out, why)
}

// account counts drift: an object that was not as wanted, though it had been.
func (b *bundle) account(o *object, out outcome, why todo) {
	since := o.since
	o.since = time.Time{}
	if !out.differs || why != restore && since.IsZero() {
		return
	}
	now := time.Now()
	if since.IsZero() {
		since = now
	}
	b.s.board.drift(b.name, b.grant.BundleUID, v1alpha1.Drift{ObjectRef: o.ref(), Manager: out.manager, At: metav1.Time{Time: since}}, !out.left)
	b.logger.Info("drift", logObject, o.key.String(), logManager, out.manager, logTook, now.Sub(since), "corrected", !out.left)
}

// fail notes what keeps an object from being applied; it is tried again later and later.
func (b *bundle) fail(o *object, p problem) {
	if o.problem != p {
		b.logger.Warn("object not applied", logObject, o.key.String(), logReason, p.reason)
	}
	if p.reason == ReasonUnknownKind {
		o.mapped = false
		b.s.kinds.forget()
	}
	o.problem, o.todo, o.retryAt = p, again, time.Now().Add(o.retry.next())
	o.going, o.stuck = time.Time{}, false
}

// awaitEnd notes that an object is being deleted, and is to be made once it is gone. Its end is an event; should that not come, it is
// looked at again. Until there is another, the inventory lists one that waits for its UID.
func (b *bundle) awaitEnd(o *object, replaced bool) {
	now := time.Now()
	if replaced {
		b.inv.entries[o.key] = entry{version: o.gvk.Version}
		b.unsaved, o.applied = true, nil
	}
	if o.going.IsZero() {
		o.going = now
	}
	o.stuck = now.Sub(o.going) > b.s.timing.Leave
	o.problem, o.todo, o.retryAt = problem{}, again, now.Add(o.retry.next())
}

// isUnreachable says that a look for a kind failed for another reason than that it is not served.
func isUnreachable(err error) bool {
	return !errors.Is(err, errUnknownKind) && isAway(err)
}
