package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/chaos/thief"
	"github.com/hanse-fleet/hanse/secrets"
)

// rob waits until a cluster's member has all of the log, kills it, takes all age files of its data directory and of other folders, and starts it again.
func (f *field) rob(t *testing.T, cluster string, also ...string) *thief.Loot {
	t.Helper()
	c := f.cluster(t, cluster)
	now := f.status(t, "fra").Revision
	until(t, comesBack, f.seat(t, cluster).sees(func(s v1alpha1.FleetStatus) error {
		if s.Revision < now {
			return fmt.Errorf("%s is at revision %d of %d", cluster, s.Revision, now)
		}
		return nil
	}))
	if err := c.Kill(testbed.Member); err != nil {
		t.Fatal(err)
	}
	loot, err := thief.Search(append(also, c.DataDir())...)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.bed.Heal(t.Context(), c.Region()); err != nil {
		t.Fatal(err)
	}
	awaitAPI(t, f, cluster)
	return loot
}

// keysOf are the private keys that a cluster's member has of its own.
func (f *field) keysOf(t *testing.T, cluster string) []age.Identity {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.cluster(t, cluster).DataDir(), "age.key"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// group is the group readers, as a member tells it.
func (f *field) group(t *testing.T) (g v1alpha1.RecipientGroup) {
	t.Helper()
	if err := json.Unmarshal([]byte(f.must(t, "fra", nil, "get", "recipientgroup", "readers", "-o", "json").Out), &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func (f *field) secret(t *testing.T, name string) (s v1alpha1.FleetSecret) {
	t.Helper()
	if err := json.Unmarshal([]byte(f.must(t, "fra", nil, "get", "fleetsecret", name, "-o", "json").Out), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// sealedAgain is what lies in the log beside the secret db, once it is sealed to the key that its group has and another one has confirmed that.
func (f *field) sealedAgain(t *testing.T, epoch int64) (again v1alpha1.Sealing) {
	t.Helper()
	until(t, 3*time.Minute, func(context.Context) error {
		var s v1alpha1.SecretSealing
		if err := json.Unmarshal(f.ask(t, f.seat(t, "fra").rest().Dial, v1alpha1.PathSealing+"?secret=db", "application/json"), &s); err != nil {
			return err
		}
		if s.Sealing == nil || s.Sealing.Epoch != epoch || len(s.Sealing.Data) == 0 || s.Sealing.Confirmed == "" {
			return fmt.Errorf("it is told as %+v", s.Sealing)
		}
		again = *s.Sealing
		return nil
	})
	return again
}

// theThiefOpensNothing robs a member that is not of the group of all that it has, and then one that is, in which the same search finds the value.
func theThiefOpensNothing(t *testing.T, f *field, value string) {
	g := f.group(t)
	parts := map[string][]byte{"the secret": f.secret(t, "db").Spec.Data}
	for _, w := range g.Status.Wraps {
		parts["the key for "+w.Cluster] = w.Wrap
	}
	for _, former := range g.Status.Former {
		parts[fmt.Sprintf("the key %d", former.Epoch)] = former.Key
	}
	for _, of := range []struct {
		cluster string
		reads   bool
	}{{"sin", false}, {"iad", true}} {
		loot := f.rob(t, of.cluster)
		for part, file := range parts {
			if !loot.Has(file) {
				t.Errorf("%s of the %d age files in %s is not among what was found", part, loot.Len(), of.cluster)
			}
		}
		opened := loot.Open(f.keysOf(t, of.cluster)...)
		if !of.reads && len(opened) > 0 {
			t.Errorf("with the key of %s %d of its %d age files open", of.cluster, len(opened), loot.Len())
		}
		if reads := bytes.Contains(bytes.Join(opened, nil), []byte(value)); reads != of.reads {
			t.Errorf("who has all of %s reads the value: %t", of.cluster, reads)
		}
		t.Logf("who has all of %s opens %d of %d age files", of.cluster, len(opened), loot.Len())
	}
}

// noSecret expects that a cluster has no such Secret.
func noSecret(client *kubernetes.Clientset, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := client.CoreV1().Secrets("vault").Get(ctx, name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is still there: %w", err)
		}
		return nil
	}
}

// waitsForAWord expects that nothing goes before a person has said so, and says it.
func (f *field) waitsForAWord(t *testing.T, from *kubernetes.Clientset, value string) {
	t.Helper()
	until(t, 3*time.Minute, func(context.Context) error {
		if said := f.tell(t, "sin", nil, "rollout", "status", "secret.db"); !strings.Contains(said.Out, "waits for a person") {
			return errors.New(said.String())
		}
		return nil
	})
	until(t, 2*time.Minute, has(from, value))
	f.letGo(t, "sin", "secret.db")
}

// pickedOut takes a cluster out of those of the group that keep the secret: it can read it all the same.
func pickedOut(t *testing.T, f *field, value string) {
	fra, iad := f.kubernetes(t, "fra"), f.kubernetes(t, "iad")
	before := f.group(t).Status.Epoch
	f.mustKubectl(t, "iad", "", "patch", "fleetsecret", "db", "--type=merge", "-p", `{"spec":{"clusterSelector":{"matchLabels":{"topology.kubernetes.io/region":"eu"}}}}`)
	f.waitsForAWord(t, iad, value)
	until(t, 3*time.Minute, noSecret(iad, "db"))
	until(t, 2*time.Minute, has(fra, value))
	if said := f.must(t, "iad", nil, "secret", "get", "db", "--key", "password").Out; said != value {
		t.Errorf("iad, which is of the group, reads %d bytes", len(said))
	}
	if now := f.group(t).Status.Epoch; now != before {
		t.Errorf("the group has its key %d, and had %d", now, before)
	}
	f.mustKubectl(t, "iad", "", "patch", "fleetsecret", "db", "--type=merge", "-p", `{"spec":{"clusterSelector":null}}`)
	until(t, 3*time.Minute, has(iad, value))
}

// leftTheGroup takes the label from iad by which it is of the group: only fra is left. The value that comes next is sealed to a former recipient, which
// iad can open, and the one behind it to the present one.
func leftTheGroup(t *testing.T, f *field, formerRecipient, value string) {
	fra, iad := f.kubernetes(t, "fra"), f.kubernetes(t, "iad")
	before := f.group(t).Status.Epoch
	f.must(t, "sin", nil, "label", "cluster", "iad", "reads-")
	f.waitsForAWord(t, iad, value)
	until(t, 3*time.Minute, noSecret(iad, "db"))
	until(t, 3*time.Minute, func(context.Context) error {
		if g := f.group(t); g.Status.Epoch <= before || strings.Join(g.Status.Holders(), " ") != "fra" || g.Status.Unproven() {
			return fmt.Errorf("key %d is with %q", g.Status.Epoch, g.Status.Holders())
		}
		return nil
	})
	g := f.group(t)
	again := f.sealedAgain(t, g.Status.Epoch)
	until(t, 2*time.Minute, has(fra, value))
	f.listed(t, "iad", v1alpha1.ExposureOpen)

	const late, safe = password + "-late", password + "-safe"
	f.mustKubectl(t, "sin", string(f.sealedOffline(t, formerRecipient, "db", late)), "apply", "--server-side", "-f", "-")
	until(t, 3*time.Minute, has(fra, late))
	f.listed(t, "iad", v1alpha1.ExposureOpen)
	f.mustKubectl(t, "sin", string(f.sealedOffline(t, g.Status.Recipient, "db", safe)), "apply", "--server-side", "-f", "-")
	until(t, 3*time.Minute, has(fra, safe))
	f.listed(t, "iad", v1alpha1.ExposureChanged)

	loot := f.rob(t, "iad")
	opened := bytes.Join(loot.Open(f.keysOf(t, "iad")...), nil)
	for text, can := range map[string]bool{value: true, late: true, safe: false} {
		if reads := bytes.Contains(opened, []byte(text)); reads != can {
			t.Errorf("who has all of iad reads %s: %t", text, reads)
		}
	}
	if !loot.Has(again.Data) || !loot.Has(f.secret(t, "db").Spec.Data) {
		t.Error("it does not even have what it cannot read")
	}
}

// listed waits until the ledger says of one who left how the secret db stands: the same at each member.
func (f *field) listed(t *testing.T, left string, state v1alpha1.ExposureState) {
	t.Helper()
	for _, asked := range []string{"fra", left, "sin"} {
		until(t, 3*time.Minute, func(context.Context) error {
			var e v1alpha1.Exposures
			said := f.tell(t, asked, nil, "secret", "exposed", "--cluster", left, "-o", "json")
			if err := json.Unmarshal([]byte(said.Out), &e); err != nil {
				return fmt.Errorf("%w: %s", err, said)
			}
			if len(e.Items) != 1 || e.Items[0].Secret != "db" || e.Items[0].State != state || (said.Code == 3) != (state == v1alpha1.ExposureOpen) {
				return errors.New(said.String())
			}
			return nil
		})
	}
}

// rolledBack makes the secret as it was at a revision, sealed to a former key of the group, of which iad was then; from what nobody opens.
func rolledBack(t *testing.T, f *field, to, value string) {
	fra, iad := f.kubernetes(t, "fra"), f.kubernetes(t, "iad")
	before, err := fra.CoreV1().Secrets("vault").Get(t.Context(), "db", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	f.mustKubectl(t, "sin", string(f.sealedOffline(t, stranger.Recipient().String(), "db", value)), "apply", "--server-side", "-f", "-")
	until(t, 3*time.Minute, func(context.Context) error {
		if told := f.must(t, "sin", nil, "get", "works", "-o", "wide").Out; !strings.Contains(told, "sealed to no recipient that group readers has or had; seal it again") {
			return errors.New(told)
		}
		return nil
	})
	until(t, 2*time.Minute, has(fra, string(before.Data["password"])))
	mentions(t, f.must(t, "sin", nil, "rollback", "fleetsecret/db", "--to", to).Out, "fleetsecret db is as it was at "+to)
	until(t, 3*time.Minute, has(fra, value))
	f.sealedAgain(t, f.group(t).Status.Epoch)
	f.listed(t, "iad", v1alpha1.ExposureOpen)
	f.must(t, "sin", nil, "label", "cluster", "iad", "reads=db")
	until(t, 3*time.Minute, has(iad, value))
}

// deleted deletes the secret, makes it again as it was at a revision, and once more without its group.
func deleted(t *testing.T, f *field, to, value string) {
	clusters := []*kubernetes.Clientset{f.kubernetes(t, "fra"), f.kubernetes(t, "iad")}
	rollback := []string{"rollback", "fleetsecret/db", "--to", to}
	gone := func() {
		f.must(t, "fra", nil, "delete", "fleetsecret", "db", "--yes", "--wait")
		for _, client := range clusters {
			until(t, 3*time.Minute, noSecret(client, "db"))
		}
	}
	gone()
	f.must(t, "sin", nil, rollback...)
	for _, client := range clusters {
		until(t, 3*time.Minute, has(client, value))
	}
	gone()
	f.must(t, "fra", nil, "delete", "recipientgroup", "readers")
	mentions(t, ended(t, 1, f.tell(t, "sin", nil, rollback...), rollback).Talk, `spec.group: Invalid value: there is no such group; make it first`)
}
