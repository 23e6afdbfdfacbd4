package drill

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// canary is a value that must be in the Secrets of its clusters, and nowhere else.
const canary = "canary-4711-of-the-database"

const readersGroup = `apiVersion: fleet.hanse.dev/v1alpha1
kind: RecipientGroup
metadata: {name: readers}
spec: {clusterSelector: {matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [eu, us]}]}}
`

// aSealedSecret is sealed where there is no fleet, applied in one cluster, kept in the two of its group, and in no other.
func aSealedSecret(t *testing.T, f *field) {
	fra, iad, sin := f.kubernetes(t, "fra"), f.kubernetes(t, "iad"), f.kubernetes(t, "sin")
	for _, client := range []*kubernetes.Clientset{fra, iad, sin} {
		namespace(t, client, "vault")
	}
	f.must(t, "sin", []byte(readersGroup), "apply", "-f", "-")
	var recipient string
	until(t, 30*time.Second, func(context.Context) error {
		said := f.must(t, "iad", nil, "get", "recipientgroup", "readers", "-o", "yaml").Out
		_, after, _ := strings.Cut(said, "recipient: ")
		recipient, _, _ = strings.Cut(after, "\n")
		if holders := f.must(t, "iad", nil, "get", "recipientgroups").Out; recipient == "" || !strings.Contains(holders, "fra,iad ") {
			return fmt.Errorf("its holders are told as %s", holders)
		}
		return nil
	})
	seal := func(value string) []byte {
		args := []string{"seal", "--group", "readers", "--recipient", recipient, "--name", "db", "--namespace", "vault", "--from-stdin", "password"}
		laptop := Person{Hanse: f.hanse, Server: "unix:///nowhere"}
		return []byte(ended(t, 0, tell(t, laptop, []byte(value), args...), args).Out)
	}
	manifest := seal(canary)
	if bytes.Contains(manifest, []byte("canary")) {
		t.Fatal("what is to lie in Git can be read")
	}
	begun := time.Now()
	f.must(t, "sin", manifest, "apply", "-f", "-")
	for name, client := range map[string]*kubernetes.Clientset{"fra": fra, "iad": iad} {
		until(t, time.Minute, password(client, canary))
		t.Logf("%s has it after %s", name, round(time.Since(begun)))
	}

	// It is kept as it is sealed, whoever changes it there.
	_, err := fra.CoreV1().Secrets("vault").Patch(t.Context(), "db", types.MergePatchType, []byte(`{"data":{"password":"Zm9yZWlnbg=="}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	until(t, 30*time.Second, password(fra, canary))

	_, err = sin.CoreV1().Secrets("vault").Get(t.Context(), "db", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("it is outside of its group: %v", err)
	}
	inNoWord(t, f)
	until(t, 30*time.Second, func(context.Context) error {
		if told := f.must(t, "sin", nil, "get", "fleetsecrets").Out; !strings.Contains(told, "vault/db") || !strings.Contains(told, "2/2") {
			return fmt.Errorf("it is told as %s", told)
		}
		return nil
	})

	// Another value goes the same way, and what is deleted is pruned.
	f.must(t, "iad", seal(canary+"-2"), "apply", "-f", "-")
	until(t, time.Minute, password(iad, canary+"-2"))
	until(t, time.Minute, password(fra, canary+"-2"))
	f.must(t, "fra", nil, "delete", "fleetsecret", "db", "--yes", "--wait")
	for _, client := range []*kubernetes.Clientset{fra, iad} {
		until(t, time.Minute, func(ctx context.Context) error {
			_, err := client.CoreV1().Secrets("vault").Get(ctx, "db", metav1.GetOptions{})
			if !apierrors.IsNotFound(err) {
				return fmt.Errorf("it is still there: %w", err)
			}
			return nil
		})
	}
	inNoWord(t, f)
	f.must(t, "fra", nil, "delete", "recipientgroup", "readers")
}

// password expects the Secret to have a value.
func password(client *kubernetes.Clientset, want string) func(context.Context) error {
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

// inNoWord checks that the value is in nothing that a member has written or says: its data directory, its log, its answers.
func inNoWord(t *testing.T, f *field) {
	t.Helper()
	holds := func(data []byte) bool {
		for _, as := range [][]byte{[]byte(canary), []byte(base64.StdEncoding.EncodeToString([]byte(canary)))[:24], []byte(hex.EncodeToString([]byte(canary)))} {
			if bytes.Contains(data, as) {
				return true
			}
		}
		return false
	}
	for _, s := range f.seats {
		if holds(f.log(t, s.name)) {
			t.Errorf("the log of %s has the value", s.name)
		}
		for _, kind := range []string{"fleetsecrets", "recipientgroups", "bundlerevisions", "works", "rollouts", "changes"} {
			if holds([]byte(f.must(t, s.name, nil, "get", kind, "-o", "yaml").Out)) {
				t.Errorf("%s tells it with its %s", s.name, kind)
			}
		}
		err := filepath.WalkDir(filepath.Dir(s.socket), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if holds(data) {
				t.Errorf("%s has the value", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
