package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

const (
	// vault is the namespace of the Secrets, and readers the group that reads them.
	vault, readers = "vault", "readers"
	// changed are the changes of one secret that are followed.
	changed = 50
	// settled is for how long nothing is written when all is done.
	settled = 15 * time.Second
	// between is the rest between two writes of something else: the leader strikes off old changes after each 500, and that is a write, too.
	between = 40 * time.Millisecond
	// sealedAgainIn bounds the wait for that.
	sealedAgainIn = 5 * time.Minute
)

var fleetSecrets = v1alpha1.SchemeGroupVersion.WithResource("fleetsecrets")

// sealed measures secrets in a fleet of four real clusters: three are of a group from the beginning, the fourth joins it, and is then
// removed from the fleet. What lies in the log, and when it came there, is read from the log of a member that was killed afterwards.
func (b *bed) sealed(ctx context.Context) ([]Row, error) {
	all, err := b.realClusters(ctx, "secrets", 4, testbed.Options{})
	if err != nil {
		return nil, err
	}
	defer all.close()
	f := &sealedFleet{company: company{bed: b, first: all[0].member, gone: all[3].name}, all: all, three: all[:3], last: all[3]}
	for _, s := range f.three {
		f.stay = append(f.stay, s.member)
	}
	if err := f.found(ctx); err != nil {
		return nil, err
	}
	var rows []Row
	for _, part := range []func(context.Context) ([]Row, error){f.changes, f.thousand, f.joins, f.removed} {
		some, err := part(ctx)
		if rows = append(rows, some...); err != nil {
			return rows, err
		}
	}
	some, err := f.fromTheLog()
	return append(rows, some...), err
}

// sealedFleet is the fleet of these rows.
type sealedFleet struct {
	company
	all, three sites
	last       *site
}

// found makes the group of three clusters.
func (f *sealedFleet) found(ctx context.Context) error {
	for _, s := range f.all {
		if _, err := s.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: vault}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return f.gets(ctx, f.three[0].name, f.three[1].name, f.three[2].name)
}

// changes follows changes of one value, from the start of the command to the Secret in the last of three clusters.
func (f *sealedFleet) changes(ctx context.Context) ([]Row, error) {
	f.say("%d changes of a value, one after the other", changed)
	var took []time.Duration
	for i := range changed + unfollowed {
		one, err := f.change(ctx, fmt.Sprintf("%04d", i))
		if err != nil {
			return nil, err
		}
		if i >= unfollowed {
			took = append(took, one)
		}
	}
	return percentiles("a secret's value changed → live in 3 real clusters", took, atMost(80, inMilliseconds), atMost(300, inMilliseconds)), nil
}

func (f *sealedFleet) change(ctx context.Context, begins string) (time.Duration, error) {
	manifest, err := f.secret("changed", begins)
	if err != nil {
		return 0, err
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return 0, err
	}
	var sights []sight
	for _, s := range f.three {
		seen, err := s.followSecrets(ctx, func(_ watch.EventType, one *corev1.Secret) bool {
			return strings.HasPrefix(string(one.Data["value"]), begins)
		})
		if err != nil {
			return 0, err
		}
		sights = append(sights, seen)
	}
	begun := time.Now()
	if _, err := typed(ctx, f.first.Person(), string(text), "apply", "-f", "-"); err != nil {
		return 0, err
	}
	return lastOf(begun, sights)
}

// lastOf is how long it took until all was seen.
func lastOf(begun time.Time, sights []sight) (took time.Duration, err error) {
	for _, seen := range sights {
		at, err := seen()
		if err != nil {
			return 0, err
		}
		took = max(took, at.Sub(begun))
	}
	return took, nil
}

// thousand makes a thousand secrets, and waits until three clusters have them.
func (f *sealedFleet) thousand(ctx context.Context) ([]Row, error) {
	if err := f.makeThousand(ctx); err != nil {
		return nil, err
	}
	for _, s := range f.three {
		if err := until(ctx, func() error { return s.hasSecrets(ctx, thousand+1) }); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// joins lets the fourth cluster into the group.
func (f *sealedFleet) joins(ctx context.Context) ([]Row, error) {
	f.say("a cluster joins the group")
	had := map[string]bool{}
	seen, err := f.last.followSecrets(ctx, func(_ watch.EventType, s *corev1.Secret) bool {
		had[s.Name] = true
		return len(had) == thousand+1
	})
	if err != nil {
		return nil, err
	}
	members := append(slices.Clone(f.stay), f.last.member)
	before, err := spentBy(members...)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := f.label(ctx, f.last.name); err != nil {
		return nil, err
	}
	took, err := lastOf(begun, []sight{seen})
	if err != nil {
		return nil, err
	}
	after, err := spentBy(members...)
	if err != nil {
		return nil, err
	}
	all := after.since(before)
	return []Row{
		newRow("a cluster joins a group → its 1,000 secrets present", inSeconds, []float64{took.Seconds()}, nil, atMost(2, inSeconds)),
		newRow("until then, processor time of the four members", coreSeconds, []float64{all.sum()}, nil, nil),
		newRow("of that, who joins", coreSeconds, []float64{all[len(all)-1]}, nil, nil),
	}, nil
}

// followSecrets waits for an event of the Secrets, from now on, and keeps when it came.
func (s *site) followSecrets(ctx context.Context, is func(watch.EventType, *corev1.Secret) bool) (sight, error) {
	list, err := s.client.CoreV1().Secrets(vault).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, err
	}
	w, err := s.client.CoreV1().Secrets(vault).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return nil, err
	}
	return followed(ctx, w, is), nil
}

func (s *site) hasSecrets(ctx context.Context, n int) error {
	list, err := s.client.CoreV1().Secrets(vault).List(ctx, metav1.ListOptions{})
	if err == nil && len(list.Items) < n {
		err = fmt.Errorf("%s has %d Secrets", s.name, len(list.Items))
	}
	return err
}

// removed removes the fourth cluster.
func (f *sealedFleet) removed(ctx context.Context) ([]Row, error) {
	r, err := f.remove(ctx)
	if err != nil {
		return nil, err
	}
	name := "a write of something else, p99"
	return []Row{
		newRow(name, inMilliseconds, []float64{sorted(r.before).at(0.99)}, nil, nil),
		newRow(name+", while 1,000 secrets are sealed again", inMilliseconds, []float64{sorted(r.meanwhile).at(0.99)}, nil, nil),
		newRow("1,000 secrets sealed again, processor time of three members", coreSeconds, []float64{r.spent.sum()}, nil, nil),
	}, nil
}

// fromTheLog reads what was written, and when, from the files of the member that was killed.
func (f *sealedFleet) fromTheLog() ([]Row, error) {
	t, whole, err := f.told()
	if err != nil {
		return nil, err
	}
	kib := func(bytes, of int) []float64 { return []float64{float64(bytes) / float64(of) / 1024} }
	payload := len(value)
	rows := t.rows("a cluster is removed → the last of its group's 1,000 secrets sealed again")
	if !whole {
		f.say("the log was cut meanwhile: not all that a secret and a member take of it is known")
		return rows, nil
	}
	return append(rows,
		newRow("in the log of a secret, beside its payload: all until it runs in 4 clusters", inKiB, kib(t.made+t.rolled-thousand*payload, thousand), nil, nil),
		newRow("in the log of a member of a group: its key wrapped", inKiB, kib(t.wrap, 1), nil, atMost(2.5, inKiB)),
	), nil
}
