package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/drill"
	"github.com/hanse-fleet/hanse/secrets"
)

// company are the members of a fleet that a cluster is removed from, and a group in it.
type company struct {
	*bed
	// first is who is asked, and one of those that stay. gone is the cluster that is removed.
	first  *drill.Daemon
	stay   []*drill.Daemon
	gone   string
	client dynamic.Interface
	to     secrets.Recipient
}

// gets makes the group, of some clusters, and waits until all of them hold its key.
func (f *company) gets(ctx context.Context, clusters ...string) (err error) {
	if f.client, err = dynamic.NewForConfig(f.first.REST()); err != nil {
		return err
	}
	labelling, cancel := context.WithTimeout(ctx, gathered)
	defer cancel()
	if err := until(labelling, func() error { return f.label(labelling, clusters...) }); err != nil {
		return err
	}
	group := "apiVersion: fleet.hanse.dev/v1alpha1\nkind: RecipientGroup\nmetadata: {name: " + readers + "}\nspec: {clusterSelector: {matchLabels: {reads: \"yes\"}}}\n"
	user := fmt.Sprintf("---\napiVersion: fleet.hanse.dev/v1alpha1\nkind: User\nmetadata: {name: %s}\nspec: {role: Viewer, pin: %q}\n", bystander, strings.Repeat("0", 64))
	if _, err := typed(ctx, f.first.Person(), group+user, "apply", "-f", "-"); err != nil {
		return err
	}
	f.say("a group of %d gets its key", len(clusters))
	ctx, cancel = context.WithTimeout(ctx, gathered)
	defer cancel()
	return until(ctx, func() error {
		g, err := f.group(ctx)
		if err != nil {
			return err
		}
		if len(g.Status.Wraps) < len(clusters) {
			return fmt.Errorf("%d hold the group's key", len(g.Status.Wraps))
		}
		f.to, err = secrets.ParseRecipient(g.Status.Recipient)
		return err
	})
}

func (f *company) label(ctx context.Context, clusters ...string) error {
	_, err := typed(ctx, f.first.Person(), "", append(append([]string{"label", "cluster"}, clusters...), "reads=yes")...)
	return err
}

func (f *company) group(ctx context.Context) (g v1alpha1.RecipientGroup, err error) {
	u, err := f.client.Resource(v1alpha1.SchemeGroupVersion.WithResource("recipientgroups")).Get(ctx, readers, metav1.GetOptions{})
	if err == nil {
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &g)
	}
	return g, err
}

// secret is a manifest of one with a value of the size that all rows have, which begins as told.
func (f *company) secret(name, begins string) (*unstructured.Unstructured, error) {
	data, err := secrets.Seal(f.to, secrets.Target{Namespace: vault, Name: name}, map[string][]byte{"value": []byte(begins + value[len(begins):])})
	if err != nil {
		return nil, err
	}
	s := &v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.FleetSecretSpec{Group: readers, Namespace: vault, Data: data}}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(s)
	if err != nil {
		return nil, err
	}
	delete(object, "status")
	unstructured.RemoveNestedField(object, "metadata", "creationTimestamp")
	return &unstructured.Unstructured{Object: object}, nil
}

// makeThousand makes a thousand secrets. What a busy machine does not write in time is written again.
func (f *company) makeThousand(ctx context.Context) error {
	f.say("%d secrets are made", thousand)
	ctx, cancel := context.WithTimeout(ctx, sealedAgainIn)
	defer cancel()
	return each(ctx, thousand, func(ctx context.Context, i int) error {
		s, err := f.secret(fmt.Sprintf("s-%04d", i), "")
		if err != nil {
			return err
		}
		return until(ctx, func() error {
			if _, err := f.client.Resource(fleetSecrets).Create(ctx, s, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
				return err
			}
			return nil
		})
	})
}

// removal is what was seen when a cluster was removed: how long writes of something else took before and meanwhile, and what those spent that
// stay, and how much more that is than what they spent before in as long, on those writes and at rest.
type removal struct {
	before, meanwhile []time.Duration
	spent, more       spent
}

// stretch is a while in which somebody wrote something else.
type stretch struct {
	took   []time.Duration // each write
	lasted time.Duration
	spent  spent // by those that stay
}

// remove removes a cluster of the group, while somebody writes something else, until nothing more is written because of it.
func (f *company) remove(ctx context.Context) (r removal, err error) {
	if _, err := f.writing(ctx); err != nil { // until all is written that is still to be
		return r, err
	}
	f.say("somebody writes, and then the cluster is removed")
	before, err := f.written(ctx, func() error { return nil })
	if err != nil {
		return r, err
	}
	meanwhile, err := f.written(ctx, func() error {
		_, err := typed(ctx, f.first.Person(), "", "remove", f.gone, "--yes")
		return err
	})
	if err != nil {
		return r, err
	}
	more := meanwhile.spent.beyond(before.spent, meanwhile.lasted.Seconds()/before.lasted.Seconds())
	return removal{before.took, meanwhile.took, meanwhile.spent, more}, nil
}

// written does something, and then writes something else for as long as anything is written because of it.
func (f *company) written(ctx context.Context, do func() error) (s stretch, err error) {
	begun := time.Now()
	before, err := spentBy(f.stay...)
	if err != nil {
		return s, err
	}
	if err := do(); err != nil {
		return s, err
	}
	if s.took, err = f.writing(ctx); err != nil {
		return s, err
	}
	after, err := spentBy(f.stay...)
	s.spent, s.lasted = after.since(before), time.Since(begun)
	return s, err
}

// bystander is a user whose label is written meanwhile: nothing of a group or a secret follows from one.
const bystander = "bystander"

var users = v1alpha1.SchemeGroupVersion.WithResource("users")

// writing writes a label of a user, one write after the other, until nobody has written anything else for a while.
func (f *company) writing(ctx context.Context) (took []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, sealedAgainIn)
	defer cancel()
	var others uint64
	for alone := time.Now(); time.Since(alone) < settled; {
		list, err := f.client.Resource(users).List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return nil, err
		}
		revision, err := strconv.ParseUint(list.GetResourceVersion(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read revision: %w", err)
		}
		if now := revision - uint64(len(took)); now != others {
			others, alone = now, time.Now()
		}
		for range 10 {
			body := fmt.Appendf(nil, `{"metadata":{"labels":{"written":"%d"}}}`, f.serial.Add(1))
			begun := time.Now()
			if err := until(ctx, func() error { // one that is written too late counts for as long as it took
				_, err := f.client.Resource(users).Patch(ctx, bystander, types.MergePatchType, body, metav1.PatchOptions{})
				return err
			}); err != nil {
				return nil, err
			}
			last := time.Since(begun)
			if took = append(took, last); last > settled/3 { // nobody else could write meanwhile either
				alone = time.Now()
			}
			if err := rest(ctx, between); err != nil {
				return nil, err
			}
		}
	}
	return took, nil
}
