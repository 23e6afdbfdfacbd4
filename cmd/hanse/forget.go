package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// toForget reads A and A..B: the revisions at which how the object was is to be forgotten.
func toForget(text string) (from, to uint64, err error) {
	from, to, err = revisions(text)
	switch _, _, ranged := strings.Cut(text, ".."); {
	case err != nil:
		return 0, 0, err
	case !ranged:
		return from, from, nil
	case to < from:
		return 0, 0, usage(fmt.Sprintf("--forget %s: from which revision to which?", text), hint{"for example", "history bundle/shop --forget 811..815"})
	}
	return from, to, nil
}

// forget strikes off how the object was at all revisions from one to another, one change after the other: what was struck off
// before is no error, so it can be repeated. That there were changes, and whose, stays.
func (p *past) forget(ctx context.Context, c *cli.Context, from, to uint64) error {
	if to > p.at {
		return usagef("there is no revision %d yet: the fleet is at %d", to, p.at)
	}
	if p.isSoSince(to) {
		return &failure{code: exitError, why: "how it is now cannot be forgotten; nothing was", hints: []hint{
			{"first make it what it is to be", "apply -f FILE"}, {"then, with the revisions until that", "history " + p.kind.singular() + "/" + p.name + " --forget A..B"}}}
	}
	chosen := p.replacing(from, to)
	if len(chosen) == 0 {
		return &failure{code: exitError, why: "nothing is remembered of how it was then", hints: []hint{p.seeWhatIs()}}
	}
	for _, i := range chosen {
		change := p.changes[i]
		_, err := p.fleet.write(ctx, request{verb: "DELETE", path: mustKind("Change").path(change.Name, "before")})
		if isReason(err, metav1.StatusReasonNotFound) {
			fmt.Fprintln(c.App.Writer, escaped(fmt.Sprintf("%s: how it was from %d to %d was forgotten already", p.title(), p.since(i), number(change.ResourceVersion)-1)))
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(c.App.Writer, escaped(fmt.Sprintf("%s: how it was from %d to %d is forgotten; that %s changed it at %s stays",
			p.title(), p.since(i), number(change.ResourceVersion)-1, who(change.Spec), change.ResourceVersion)))
	}
	fmt.Fprintln(c.App.ErrWriter, "a secret that was in it is to be replaced all the same: clusters, backups and the disks of members may still have it")
	return nil
}

// isSoSince says that the object is there, and was at the revision as people see it now.
func (p *past) isSoSince(revision uint64) bool {
	last := len(p.changes) - 1
	return last >= 0 && revision >= number(p.changes[last].ResourceVersion) && p.changes[last].Spec.Verb != v1alpha1.ChangeDelete
}

// since is the first revision at which the object was as the change at i found it.
func (p *past) since(i int) uint64 {
	if i == 0 {
		return uint64(p.changes[0].Spec.Since)
	}
	return number(p.changes[i-1].ResourceVersion)
}

// replacing are the changes that replaced what was there at any of the revisions.
func (p *past) replacing(from, to uint64) (chosen []int) {
	for i, c := range p.changes {
		if c.Spec.Size > 0 && from < number(c.ResourceVersion) && p.since(i) <= to {
			chosen = append(chosen, i)
		}
	}
	return chosen
}

// keyed is the resource of what was before changes, as records name it.
var keyed = strings.Trim(v1alpha1.KeyPasts, "/")

// told is how a change is told: what verb, of which object, what of it. One that struck off a past is told of as being of the
// object whose past it was.
func (p *past) told(c v1alpha1.Change) (verb, object, what string) {
	verb, object = strings.ToLower(string(c.Spec.Verb)), c.Spec.Resource+"/"+c.Spec.Name
	if c.Spec.Revealed {
		return "reveal", object, "nothing: the value was revealed"
	}
	if c.Spec.Resource != keyed {
		return verb, object, dash(different(c.Spec))
	}
	for _, of := range p.changes {
		if of.Name == c.Spec.Name {
			return "forget", of.Spec.Resource + "/" + of.Spec.Name, "what was before " + of.ResourceVersion
		}
	}
	return "forget", object, "what was before a change that is not remembered any more"
}

// strikeOf is what struck off the past of a change; nil when nobody did, or it is not remembered.
func (p *past) strikeOf(change v1alpha1.Change) *v1alpha1.Change {
	for i, s := range p.strikes {
		if s.Spec.Name == change.Name {
			return &p.strikes[i]
		}
	}
	return nil
}

// byRevision orders changes, the oldest first.
func byRevision(a, b v1alpha1.Change) int {
	return cmp.Compare(number(a.ResourceVersion), number(b.ResourceVersion))
}
