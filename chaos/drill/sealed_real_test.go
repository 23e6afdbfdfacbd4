package drill

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/chaos/canary"
)

// password is a value that must be in the Secrets of its clusters, and nowhere else.
const password = "canary-4711-of-the-database"

const readersGroup = `apiVersion: fleet.hanse.dev/v1alpha1
kind: RecipientGroup
metadata: {name: readers}
spec: {clusterSelector: {matchLabels: {reads: db}}}
`

// aSealedSecret is sealed where there is no fleet, applied in one cluster, kept in the two of its group, and in no other.
func aSealedSecret(t *testing.T, f *field) {
	fra, iad, sin := f.kubernetes(t, "fra"), f.kubernetes(t, "iad"), f.kubernetes(t, "sin")
	for _, client := range []*kubernetes.Clientset{fra, iad, sin} {
		namespace(t, client, "vault")
	}
	f.must(t, "sin", nil, "label", "cluster", "fra", "iad", "reads=db")
	f.must(t, "sin", []byte(readersGroup), "apply", "-f", "-")
	until(t, 2*time.Minute, func(context.Context) error {
		if holders := f.must(t, "iad", nil, "get", "recipientgroups").Out; !strings.Contains(holders, "fra,iad ") {
			return fmt.Errorf("its holders are told as %s", holders)
		}
		return nil
	})
	recipient := f.group(t).Status.Recipient
	seal := func(value string) []byte { return f.sealedOffline(t, recipient, "db", value) }
	wire := f.eavesdrop(t)
	manifest := seal(password)
	if found := canary.New(map[string][]byte{"the value": []byte(password)}).In(manifest); len(found) > 0 {
		t.Fatalf("what is to lie in Git can be read: %q", found)
	}
	begun := time.Now()
	t.Log(f.mustKubectl(t, "sin", string(manifest), "apply", "--server-side", "-f", "-"))
	for name, client := range map[string]*kubernetes.Clientset{"fra": fra, "iad": iad} {
		until(t, 3*time.Minute, has(client, password))
		t.Logf("%s has it after %s", name, round(time.Since(begun)))
	}
	first := f.secret(t, "db").ResourceVersion

	// It is kept as it is sealed, whoever changes it there.
	_, err := fra.CoreV1().Secrets("vault").Patch(t.Context(), "db", types.MergePatchType, []byte(`{"data":{"password":"Zm9yZWlnbg=="}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	until(t, 2*time.Minute, has(fra, password))

	_, err = sin.CoreV1().Secrets("vault").Get(t.Context(), "db", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("it is outside of its group: %v", err)
	}
	until(t, 2*time.Minute, func(context.Context) error {
		if told := f.must(t, "sin", nil, "get", "fleetsecrets").Out; !strings.Contains(told, "vault/db") || !strings.Contains(told, "2/2") {
			return fmt.Errorf("it is told as %s", told)
		}
		return nil
	})

	// An admin is told it where it can be opened, and the history has who was.
	if said := f.must(t, "fra", nil, "secret", "get", "db", "--key", "password").Out; said != password {
		t.Errorf("it is told as %d bytes", len(said))
	}
	mentions(t, f.must(t, "iad", nil, "secret", "get", "db").Out, "kind: Secret", "namespace: vault", "password: ")
	args := []string{"secret", "get", "db"}
	mentions(t, ended(t, 1, f.tell(t, "sin", nil, args...), args).Talk, "cluster sin has no key of group readers", "members that hold the key: fra, iad")
	mentions(t, f.must(t, "sin", nil, "history", "fleetsecret/db").Out, "hanse:local", " reveal ", " fra ", " iad ")

	// The group gets another key. The Secrets stay, and what is sealed to the former one, as what lies in Git is, is opened all the same.
	if told := f.must(t, "sin", nil, "secret", "rotate", "readers").Out; !strings.Contains(told, "group readers has its key 2") {
		t.Errorf("another key is told as %s", told)
	}
	for _, client := range []*kubernetes.Clientset{fra, iad} {
		until(t, 3*time.Minute, has(client, password))
	}

	// Another value goes the same way, and what is deleted is pruned.
	f.mustKubectl(t, "iad", string(seal(password+"-2")), "apply", "--server-side", "-f", "-")
	until(t, 3*time.Minute, has(iad, password+"-2"))
	until(t, 3*time.Minute, has(fra, password+"-2"))
	t.Run("the value and the group's key are nowhere else", func(t *testing.T) {
		finder := canary.New(f.mustBeNowhere(t))
		f.dump(t, "iad")
		f.nowhere(t, finder)
		wire.heardNothing(t, f, finder)
	})
	t.Run("who has all that a member has that is not of the group opens nothing", func(t *testing.T) { theThiefOpensNothing(t, f, password+"-2") })
	t.Run("it goes from a cluster of the group that it is not for any more", func(t *testing.T) { pickedOut(t, f, password+"-2") })
	t.Run("it goes from a cluster that leaves the group", func(t *testing.T) {
		leftTheGroup(t, f, recipient, password+"-2")
	})
	t.Run("a value of a former key comes back", func(t *testing.T) { rolledBack(t, f, first, password) })
	t.Run("as much goes through as a Secret holds, and no more", func(t *testing.T) { asMuchAsASecretHolds(t, f) })
	t.Run("what was deleted comes back, if its group is there", func(t *testing.T) { deleted(t, f, first, password) })
	f.must(t, "fra", nil, "label", "cluster", "fra", "iad", "reads-")
}

// sealedOffline is what a laptop seals that knows a group's recipient, and no fleet.
func (f *field) sealedOffline(t *testing.T, recipient, name, value string) []byte {
	t.Helper()
	args := []string{"seal", "--group", "readers", "--recipient", recipient, "--name", name, "--namespace", "vault", "--from-stdin", "password"}
	laptop := Person{Hanse: f.hanse, Server: "unix:///nowhere"}
	return []byte(ended(t, 0, tell(t, laptop, []byte(value), args...), args).Out)
}

// has expects the Secret to have a value.
func has(client *kubernetes.Clientset, want string) func(context.Context) error {
	return func(ctx context.Context) error {
		s, err := client.CoreV1().Secrets("vault").Get(ctx, "db", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if string(s.Data["password"]) != want {
			return fmt.Errorf("it has another value of %d bytes", len(s.Data["password"]))
		}
		return nil
	}
}

func namespace(t *testing.T, client *kubernetes.Clientset, name string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}
