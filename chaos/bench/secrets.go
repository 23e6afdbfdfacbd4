package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/drill"
	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/secrets"
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
	f := &sealedFleet{bed: b, all: all, three: all[:3], last: all[3], first: all[0].member}
	if f.client, err = dynamic.NewForConfig(f.first.REST()); err != nil {
		return nil, err
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
	if err := f.first.Kill(); err != nil {
		return rows, err
	}
	some, err := f.fromTheLog()
	return append(rows, some...), err
}

// sealedFleet is the fleet of these rows.
type sealedFleet struct {
	*bed
	all, three sites
	last       *site
	first      *drill.Daemon
	client     dynamic.Interface
	to         secrets.Recipient
}

// found makes the group of three clusters.
func (f *sealedFleet) found(ctx context.Context) error {
	for _, s := range f.all {
		if _, err := s.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: vault}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if err := f.label(ctx, f.three[0].name, f.three[1].name, f.three[2].name); err != nil {
		return err
	}
	group := "apiVersion: fleet.hanse.dev/v1alpha1\nkind: RecipientGroup\nmetadata: {name: " + readers + "}\nspec: {clusterSelector: {matchLabels: {reads: \"yes\"}}}\n"
	if _, err := typed(ctx, f.first.Person(), group, "apply", "-f", "-"); err != nil {
		return err
	}
	f.say("a group of three gets its key")
	return until(ctx, func() error {
		g, err := f.group(ctx)
		if err != nil {
			return err
		}
		if len(g.Status.Wraps) < len(f.three) {
			return fmt.Errorf("%d hold the group's key", len(g.Status.Wraps))
		}
		f.to, err = secrets.ParseRecipient(g.Status.Recipient)
		return err
	})
}

func (f *sealedFleet) label(ctx context.Context, clusters ...string) error {
	_, err := typed(ctx, f.first.Person(), "", append(append([]string{"label", "cluster"}, clusters...), "reads=yes")...)
	return err
}

func (f *sealedFleet) group(ctx context.Context) (g v1alpha1.RecipientGroup, err error) {
	u, err := f.client.Resource(v1alpha1.SchemeGroupVersion.WithResource("recipientgroups")).Get(ctx, readers, metav1.GetOptions{})
	if err == nil {
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &g)
	}
	return g, err
}

// secret is a manifest of one with a value of the size that all rows have, which begins as told.
func (f *sealedFleet) secret(name, begins string) (*unstructured.Unstructured, error) {
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
	f.say("%d secrets are made", thousand)
	if err := each(ctx, thousand, func(ctx context.Context, i int) error {
		s, err := f.secret(fmt.Sprintf("s-%04d", i), "")
		if err != nil {
			return err
		}
		_, err = f.client.Resource(fleetSecrets).Create(ctx, s, metav1.CreateOptions{})
		return err
	}); err != nil {
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
	begun := time.Now()
	if err := f.label(ctx, f.last.name); err != nil {
		return nil, err
	}
	took, err := lastOf(begun, []sight{seen})
	if err != nil {
		return nil, err
	}
	return []Row{newRow("a cluster joins a group → its 1,000 secrets present", inSeconds, []float64{took.Seconds()}, nil, atMost(2, inSeconds))}, nil
}

// removed removes a cluster of the group, while somebody writes something else, until nothing more is written because of it.
func (f *sealedFleet) removed(ctx context.Context) ([]Row, error) {
	f.say("somebody writes, and then the cluster is removed")
	before, err := f.writing(ctx)
	if err != nil {
		return nil, err
	}
	cpu, err := f.cpu()
	if err != nil {
		return nil, err
	}
	if _, err := typed(ctx, f.first.Person(), "", "remove", f.last.name, "--yes"); err != nil {
		return nil, err
	}
	meanwhile, err := f.writing(ctx)
	if err != nil {
		return nil, err
	}
	after, err := f.cpu()
	if err != nil {
		return nil, err
	}
	name := "a write of something else, p99"
	return []Row{
		newRow(name, inMilliseconds, []float64{sorted(before).at(0.99)}, nil, nil),
		newRow(name+", while 1,000 secrets are sealed again", inMilliseconds, []float64{sorted(meanwhile).at(0.99)}, nil, nil),
		newRow("1,000 secrets sealed again, processor time of three members", coreSeconds, []float64{after - cpu}, nil, nil),
	}, nil
}

// writing writes a label of the fleet, one write after the other, until nobody has written anything else for a while.
func (f *sealedFleet) writing(ctx context.Context) (took []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, sealedAgainIn)
	defer cancel()
	var others uint64
	for alone := time.Now(); time.Since(alone) < settled; {
		status, err := f.first.Status(ctx)
		if err != nil {
			return nil, err
		}
		if now := status.Revision - uint64(len(took)); now != others {
			others, alone = now, time.Now()
		}
		for range 10 {
			body := fmt.Appendf(nil, `{"metadata":{"labels":{"written":"%d"}}}`, f.serial.Add(1))
			begun := time.Now()
			if _, err := f.client.Resource(v1alpha1.SchemeGroupVersion.WithResource("fleets")).Patch(ctx, "bench", types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
				return nil, err
			}
			took = append(took, time.Since(begun))
			if err := rest(ctx, between); err != nil {
				return nil, err
			}
		}
	}
	return took, nil
}

func (f *sealedFleet) cpu() (sum float64, err error) {
	for _, s := range f.three {
		one, err := cpuSeconds(s.member.Pid())
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
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

// fromTheLog reads what was written, and when, from the files of the member that was killed.
func (f *sealedFleet) fromTheLog() ([]Row, error) {
	t := told{gone: v1alpha1.KeyClusters + f.last.name, sealed: map[string]bool{}}
	whole, err := eachCommand(filepath.Join(f.first.Dir, "raft"), t.take)
	if err != nil {
		return nil, err
	}
	if len(t.sealed) < thousand {
		return nil, fmt.Errorf("the log has %d secrets sealed again", len(t.sealed))
	}
	kib := func(bytes, of int) []float64 { return []float64{float64(bytes) / float64(of) / 1024} }
	payload := len(value)
	rows := []Row{
		newRow("a cluster is removed → the last of its group's 1,000 secrets sealed again", inSeconds, []float64{t.again.Sub(t.removed).Seconds()}, nil, atMost(30, inSeconds)),
		newRow("the same, until another cluster has confirmed the last", inSeconds, []float64{t.confirmed.Sub(t.removed).Seconds()}, nil, nil),
		newRow("in the log of a secret, each time that it is sealed again", inKiB, kib(t.resealed, thousand), nil, nil),
	}
	if !whole {
		f.say("the log was cut meanwhile: what a secret and a member take of it is not known")
		return rows, nil
	}
	return append(rows,
		newRow("in the log of a secret, beside its payload: it and its revision", inKiB, kib(t.made-thousand*payload, thousand), nil, atMost(2.5, inKiB)),
		newRow("in the log of a secret, beside its payload: all until it runs in 4 clusters", inKiB, kib(t.made+t.rolled-thousand*payload, thousand), nil, nil),
		newRow("in the log of a member of a group: its key wrapped", inKiB, kib(t.wrap, 1), nil, atMost(2.5, inKiB)),
	), nil
}

var inKiB = unit{name: "KiB"}

// told is what a log says of a thousand secrets, in bytes, and when it said so.
type told struct {
	gone                   string // the key of the cluster that is removed
	made, rolled, resealed int
	// group is the group's record as it was last, of so many wraps, and wrap by how much it grew for one.
	group, wraps, wrap        int
	removed, again, confirmed time.Time
	sealed                    map[string]bool
}

func (t *told) take(c store.Command) {
	if c.Txn == nil {
		return
	}
	at := time.Unix(0, c.Time)
	for _, op := range c.Txn.Then {
		size := len(op.Key) + len(op.Value)
		switch {
		case op.Key == t.gone && op.Delete:
			t.removed = at
		case strings.HasPrefix(op.Key, v1alpha1.KeyRecipientGroups):
			t.takeGroup(op)
		case strings.HasPrefix(op.Key, v1alpha1.KeySealings) && !t.removed.IsZero():
			t.takeSealing(op, at)
		case !strings.Contains(op.Key, "s-"):
		case strings.HasPrefix(op.Key, v1alpha1.KeyFleetSecrets) && c.Person != "", strings.HasPrefix(op.Key, v1alpha1.KeyBundleRevisions):
			t.made += size
		default:
			t.rolled += size
		}
	}
}

// takeGroup notes by how much a group's record grows with one more key that is wrapped.
func (t *told) takeGroup(op store.Op) {
	var g v1alpha1.RecipientGroup
	if json.Unmarshal(op.Value, &g) != nil {
		return
	}
	if len(g.Status.Wraps) == t.wraps+1 && t.wraps > 0 {
		t.wrap = len(op.Value) - t.group
	}
	t.group, t.wraps = len(op.Value), len(g.Status.Wraps)
}

func (t *told) takeSealing(op store.Op, at time.Time) {
	var s v1alpha1.Sealing
	if json.Unmarshal(op.Value, &s) != nil || s.Epoch < 2 || !strings.Contains(op.Key, "s-") {
		return
	}
	t.resealed += len(op.Key) + len(op.Value)
	t.sealed[op.Key] = true
	if s.Confirmed == "" {
		t.again = at
	} else {
		t.confirmed = at
	}
}

// eachCommand reads the commands in the log of a member that does not run; whole says that none was cut off.
func eachCommand(dir string, take func(store.Command)) (whole bool, err error) {
	log, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "log.bolt")})
	if err != nil {
		return false, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	first, err := log.FirstIndex()
	if err != nil {
		return false, err
	}
	last, err := log.LastIndex()
	if err != nil {
		return false, err
	}
	cut := first > 1
	for i := first; i <= last; i++ {
		var l raft.Log
		if err := log.GetLog(i, &l); errors.Is(err, raft.ErrLogNotFound) {
			cut = true // it got what was between in a snapshot
			continue
		} else if err != nil {
			return false, err
		}
		if l.Type != raft.LogCommand {
			continue
		}
		commands, err := store.DecodeEntry(l.Data)
		if err != nil {
			return false, fmt.Errorf("read entry %d: %w", i, err)
		}
		for _, c := range commands {
			take(c)
		}
	}
	return !cut, nil
}
