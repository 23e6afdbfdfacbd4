package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

func rollbackVerb() *cli.Command {
	return &cli.Command{
		Name:  "rollback",
		Usage: "make an object as it was at a revision, by a new write",
		UsageText: `hanse rollback KIND/NAME --to REVISION     what is deleted is made again, but for who reads what is sealed

Labels, annotations and the spec become what they were. A bundle goes out wave by wave, as with any other change.`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.StringFlag{Name: "to", Usage: "the REVISION to go back to; history KIND/NAME shows them"},
			&cli.IntFlag{Name: "allow-delete", Usage: "so MANY objects may leave the bundle"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be different, and change nothing"},
			&cli.BoolFlag{Name: "wait", Usage: "wait until every cluster runs it; --timeout is then 5m by default"},
		),
		Action: rollbackAction,
	}
}

func rollbackAction(c *cli.Context) error {
	k, name, err := oneOrAll(c.Args().Slice())
	if err == nil && name == "" {
		err = usage("of which object?", hint{"for example", "rollback bundle/shop --to 811"})
	}
	if err == nil && k.name == "User" {
		err = usage("a user that is made again, or gets an old pin or role back, lets in whoever holds a key that was taken away",
			hint{"see what was different", "history user/" + name + " --diff REVISION"}, hint{"then write what is to be", "apply -f FILE"})
	}
	if err != nil {
		return during("rollback", err)
	}
	doing := "rollback " + k.singular() + " " + name
	if !c.IsSet("to") {
		return during(doing, usage("--to which revision?", hint{"see which there are", "history " + k.singular() + "/" + name}))
	}
	to, err := revision(c.String("to"))
	if err != nil {
		return during(doing, err)
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	a := applier{c: c, fleet: f, allow: plan.Allowance{Delete: c.Int("allow-delete"), PlainSecrets: true}} // it was allowed once
	ctx, cancel := a.bounded()
	defer cancel()
	r := rollback{applier: a, to: to}
	return during(doing, r.run(ctx, k, name))
}

// rollback is one run of rollback.
type rollback struct {
	applier
	past *past
	to   uint64
	was  form // at that revision
	// shown is what was there when the difference was shown: nobody is to lose a change that they made since.
	shown form
}

func (r *rollback) run(ctx context.Context, k kind, name string) (err error) {
	begun := time.Now()
	if r.past, err = r.fleet.past(ctx, k, name); err != nil {
		return err
	}
	if r.was, err = r.past.formAt(ctx, r.to); err != nil {
		return err
	}
	if r.shown, err = r.past.present(ctx); err != nil {
		return err
	}
	switch {
	case r.was == nil && r.shown == nil:
		return &failure{code: exitError, why: fmt.Sprintf("it was not there at %d, and is not now", r.to), hints: []hint{r.past.seeWhatIs()}}
	case r.was == nil:
		return &failure{code: exitError, why: fmt.Sprintf("it was not there at %d", r.to), hints: []hint{{"if it is to go", "delete " + k.singular() + "/" + name}}}
	}
	text, err := unified(r.past.title()+" now", r.shown, fmt.Sprintf("%s at %d", r.past.title(), r.to), r.was)
	if err != nil {
		return err
	}
	if len(text) == 0 {
		fmt.Fprintf(r.c.App.Writer, "%s is as it was at %d\n", r.past.title(), r.to)
		return nil
	}
	if _, err := r.c.App.Writer.Write(text); err != nil {
		return err
	}
	if err := r.trusts(ctx); err != nil {
		return err
	}
	written, err := r.write(ctx)
	if err != nil {
		return err
	}
	return r.tell(ctx, begun, written)
}

// trusts refuses to change how far a cluster is trusted, and who reads what is sealed: that was taken away for a reason, perhaps, and is
// to be said in words.
func (r *rollback) trusts(ctx context.Context) error {
	if r.shown == nil {
		return r.madeAgain()
	}
	rest := hint{"the rest is then", fmt.Sprintf("rollback %s/%s --to %d", r.past.kind.singular(), r.past.name, r.to)}
	for _, field := range []string{"rights", "voting"} {
		was, _, _ := unstructured.NestedString(r.was, "spec", field)
		is, _, _ := unstructured.NestedString(r.shown, "spec", field)
		if was != is && r.past.kind.name == "Cluster" {
			return &failure{code: exitError, why: fmt.Sprintf("spec.%s was %s and is %s, and a rollback does not change how far a cluster is trusted; nothing was written", field, dash(was), dash(is)),
				hints: []hint{{"if it is to be", "apply -f FILE, with spec." + field + ": " + was}, rest}}
		}
	}
	other, err := r.otherReaders(ctx)
	if err != nil || other == "" {
		return err
	}
	return &failure{code: exitError, why: other + ", and a rollback does not change who reads what is sealed; nothing was written",
		hints: []hint{{words: fmt.Sprintf("if it is to be, by hand: kubectl edit %s.%s %s", r.past.kind.plural, group, r.past.name)}, rest}}
}

// madeAgain refuses to make again what lets somebody read: a group, or the fleet's recovery recipients.
func (r *rollback) madeAgain() error {
	if k := r.past.kind.name; k != "RecipientGroup" && (k != "Fleet" || readersSaid(r.was, nil) == "") {
		return nil
	}
	return &failure{code: exitError, why: "it was deleted, and a rollback lets nobody read again what is sealed; nothing was written",
		hints: []hint{{"if it is to be, by hand, with what is shown here", "apply -f FILE"}}}
}

// otherReaders says what would let others read what is sealed than do now; "" when nothing would.
func (r *rollback) otherReaders(ctx context.Context) (string, error) {
	switch r.past.kind.name {
	case "Fleet", "RecipientGroup":
		return readersSaid(r.was, r.shown), nil
	case "Cluster":
		other := readerSaid(r.was, r.shown)
		if other == "" {
			return "", nil
		}
		var groups v1alpha1.RecipientGroupList
		if _, err := r.fleet.read(ctx, request{path: mustKind("RecipientGroup").path()}, &groups); err != nil || len(groups.Items) == 0 {
			return "", err
		}
		return other, nil
	}
	return "", nil
}

// readersSaid says what of who reads a group, or the fleet for all groups, said and does not say now.
func readersSaid(was, is form) string {
	had, _, _ := unstructured.NestedStringSlice(was, "spec", "recoveryRecipients")
	has, _, _ := unstructured.NestedStringSlice(is, "spec", "recoveryRecipients")
	if slices.ContainsFunc(had, func(recipient string) bool { return !slices.Contains(has, recipient) }) {
		return "spec.recoveryRecipients had one that it has no more"
	}
	picked, _, _ := unstructured.NestedFieldNoCopy(was, "spec", "clusterSelector")
	picks, _, _ := unstructured.NestedFieldNoCopy(is, "spec", "clusterSelector")
	if !reflect.DeepEqual(picked, picks) {
		return "spec.clusterSelector was another one"
	}
	return ""
}

// readerSaid says by what a cluster could be picked otherwise than now: its labels, and what of them nobody vouches for.
func readerSaid(was, is form) string {
	old, now := &unstructured.Unstructured{Object: was}, &unstructured.Unstructured{Object: is}
	const own = v1alpha1.AnnotationSaidItself
	switch {
	case !maps.Equal(old.GetLabels(), now.GetLabels()):
		return "metadata.labels were other ones, by which groups pick their clusters"
	case old.GetAnnotations()[own] != now.GetAnnotations()[own]:
		return "metadata.annotations had another " + own
	}
	return ""
}

// write makes it as it was. The leader writes statuses meanwhile, which is no reason to give up; what people write is.
func (r *rollback) write(ctx context.Context) (*unstructured.Unstructured, error) {
	for now, look := r.shown, 1; ; look++ {
		written, err := r.writeUpon(ctx, now)
		if !isReason(err, metav1.StatusReasonConflict) && !isReason(err, metav1.StatusReasonAlreadyExists) || look == looks {
			return written, err
		}
		var reading error
		if now, reading = r.past.present(ctx); reading != nil {
			return nil, errors.Join(err, reading)
		}
		if !alike(now, r.shown) {
			return nil, &failure{code: exitError, why: "somebody changed it in between, and nothing was written", hints: []hint{r.past.seeWhatIs()}}
		}
	}
}

// writeUpon writes, if what is there is still just so. What is gone is created, and not if somebody made it again meanwhile. Else it
// is an apply, as that leaves the fields with whoever applied them; where others own fields that were not there then, only an
// update makes all as it was.
func (r *rollback) writeUpon(ctx context.Context, now form) (*unstructured.Unstructured, error) {
	ch := change{kind: r.past.kind, name: r.past.name, object: r.was.peoples()}
	if ch.kind.name == "Bundle" {
		var current *unstructured.Unstructured
		if now != nil {
			current = &unstructured.Unstructured{Object: now}
		}
		if err := ch.guard(current, r.allow); err != nil {
			return nil, err
		}
	}
	write, err := r.applying(ch, now)
	if now == nil {
		write, err = r.creating(ch)
	}
	if err != nil {
		return nil, err
	}
	tried, err := r.send(ctx, write, true)
	if err != nil {
		return nil, err
	}
	if now != nil && !alike(tried.Object, r.was) {
		if write, err = r.updating(ch, now); err != nil {
			return nil, err
		}
		if tried, err = r.send(ctx, write, true); err != nil {
			return nil, err
		}
	}
	if r.c.Bool("dry-run") {
		return tried, nil
	}
	return r.send(ctx, write, false)
}

// applying takes over the fields from whoever set them. What nobody said then is left unsaid.
func (r *rollback) applying(ch change, now form) (request, error) {
	object := (&unstructured.Unstructured{Object: ch.object}).DeepCopy()
	if now != nil {
		is := &unstructured.Unstructured{Object: now}
		object.SetResourceVersion(is.GetResourceVersion())
		object.SetUID(is.GetUID())
	}
	if spec, ok := object.Object["spec"].(map[string]any); ok && ch.kind.name == "Bundle" {
		for field, value := range unsaid {
			if spec[field] == value {
				delete(spec, field)
			}
		}
	}
	body, err := object.MarshalJSON()
	query := url.Values{"fieldManager": {"hanse"}, "force": {"true"}}
	return request{verb: "PATCH", path: ch.kind.path(ch.name), query: query, body: body, bodyType: typeApply}, err
}

// creating makes it again.
func (r *rollback) creating(ch change) (request, error) {
	body, err := (&unstructured.Unstructured{Object: ch.object}).MarshalJSON()
	return request{verb: "POST", path: ch.kind.path(), query: url.Values{"fieldManager": {"hanse"}}, body: body}, err
}

// updating puts what was in the place of all that people wrote.
func (r *rollback) updating(ch change, now form) (request, error) {
	object := (&unstructured.Unstructured{Object: now}).DeepCopy()
	was := &unstructured.Unstructured{Object: ch.object}
	object.SetLabels(was.GetLabels())
	annotations := was.GetAnnotations()
	for _, annotation := range noState {
		value, there := object.GetAnnotations()[annotation]
		if there && annotations == nil {
			annotations = map[string]string{}
		}
		if there {
			annotations[annotation] = value
		}
	}
	object.SetAnnotations(annotations)
	object.Object["spec"] = was.DeepCopy().Object["spec"]
	body, err := object.MarshalJSON()
	return request{verb: "PUT", path: ch.kind.path(ch.name), query: url.Values{"fieldManager": {"hanse"}}, body: body}, err
}

func (r *rollback) send(ctx context.Context, write request, dry bool) (*unstructured.Unstructured, error) {
	if dry {
		query := url.Values{"dryRun": {metav1.DryRunAll}}
		maps.Copy(query, write.query)
		write.query = query
	}
	body, err := r.fleet.write(ctx, write)
	if err != nil {
		return nil, err
	}
	written := &unstructured.Unstructured{}
	if err := written.UnmarshalJSON(body); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return written, nil
}

// tell says what became of it, and waits for the clusters when that is asked for.
func (r *rollback) tell(ctx context.Context, begun time.Time, written *unstructured.Unstructured) error {
	left, err := unified(fmt.Sprintf("%s at %d", r.past.title(), r.to), r.was, r.past.title()+" now", written.Object)
	if err != nil {
		return err
	}
	but := ""
	if len(left) > 0 {
		but = ", but for what differs below"
	}
	if r.c.Bool("dry-run") {
		fmt.Fprintf(r.c.App.Writer, "%s would be as it was at %d%s\n%s", r.past.title(), r.to, but, left)
		return nil
	}
	fmt.Fprintf(r.c.App.Writer, "%s is as it was at %d, at revision %s%s\n%s", r.past.title(), r.to, written.GetResourceVersion(), but, left)
	if !r.c.Bool("wait") || !v1alpha1.IsRolledOut(r.past.kind.name) {
		return nil
	}
	g, err := r.goal(ctx, v1alpha1.RolledOut{Kind: r.past.kind.name, Name: r.past.name}, written)
	if err != nil {
		return err
	}
	return r.fleet.reach(ctx, r.c.App.ErrWriter, begun, []goal{g})
}
