package drill

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/secrets"
)

// asMuchAsASecretHolds seals that for the group readers, and a byte more.
func asMuchAsASecretHolds(t *testing.T, f *field) {
	clusters := []*kubernetes.Clientset{f.kubernetes(t, "fra"), f.kubernetes(t, "iad")}
	recipient := f.group(t).Status.Recipient
	chance := rand.NewChaCha8([32]byte{})
	values := map[string][]byte{"value": make([]byte, secrets.MaxData)}
	if _, err := chance.Read(values["value"]); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	seal := func() Said {
		args := []string{"seal", "--group", "readers", "--recipient", recipient, "--name", "full", "--namespace", "vault"}
		for name, value := range values {
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, value, 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--from-file", file)
		}
		return tell(t, Person{Hanse: f.hanse, Server: "unix:///nowhere"}, nil, args...)
	}
	whole := func(client *kubernetes.Clientset, want map[string][]byte) func(context.Context) error {
		return func(ctx context.Context) error {
			s, err := client.CoreV1().Secrets("vault").Get(ctx, "full", metav1.GetOptions{})
			if err == nil && !maps.EqualFunc(s.Data, want, bytes.Equal) {
				err = fmt.Errorf("it has %d other values", len(s.Data))
			}
			return err
		}
	}
	for n := range 1000 { // and names
		values[fmt.Sprintf("empty-%d", n)] = nil
	}
	begun := time.Now()
	f.mustKubectl(t, "sin", ended(t, 0, seal(), []string{"seal"}).Out, "apply", "--server-side", "-f", "-")
	for _, client := range clusters {
		until(t, 5*time.Minute, whole(client, values))
	}
	t.Logf("%d bytes are in both clusters after %s", secrets.MaxData, round(time.Since(begun)))
	if _, err := clusters[1].CoreV1().Secrets("vault").Patch(t.Context(), "full", types.MergePatchType, []byte(`{"data":{"value":"Zm9yZWlnbg=="}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, 5*time.Minute, whole(clusters[1], values)) // put right

	t.Run("a byte more is not sealed", func(t *testing.T) {
		values["empty-0"] = []byte("x")
		defer func() { values["empty-0"] = nil }()
		mentions(t, ended(t, 2, seal(), []string{"seal"}).Talk, "its values have 1048577 bytes, more than the limit of 1048576", "no Secret of Kubernetes holds more")
	})
	byHand := func(size int) string {
		return fmt.Sprintf(`{"apiVersion": "fleet.hanse.dev/v1alpha1", "kind": "FleetSecret", "metadata": {"name": "full"}, "spec": {"group": "readers", "namespace": "vault", "data": %q}}`,
			base64.StdEncoding.EncodeToString(sealedByHand(t, recipient, "hanse/v1 vault/full\n", map[string]any{"stringData": map[string]string{"value": strings.Repeat("x", size)}})))
	}
	t.Run("more than can be sealed is refused by who cannot open it", func(t *testing.T) {
		said, err := f.kubectl(t.Context(), "sin", byHand(secrets.MaxSealed), "apply", "--server-side", "--force-conflicts", "-f", "-")
		if err == nil {
			t.Error(said)
		}
		mentions(t, said, "spec.data: Invalid value: it has ", "the values of a secret may have 1024 KiB together")
	})
	t.Run("a byte more that was sealed by hand is refused where it is opened, and what was there stays", func(t *testing.T) {
		f.mustKubectl(t, "sin", byHand(secrets.MaxData+1), "apply", "--server-side", "--force-conflicts", "-f", "-")
		until(t, 5*time.Minute, func(context.Context) error {
			if said := f.must(t, "sin", nil, "get", "works", "-o", "wide").Out; !strings.Contains(said, "its values have 1048577 bytes, more than the limit of 1048576") {
				return errors.New(said)
			}
			return nil
		})
		t.Logf("%s", f.tell(t, "sin", nil, "status"))
		for _, client := range clusters {
			until(t, 2*time.Minute, whole(client, values))
		}
	})
	f.must(t, "fra", nil, "delete", "fleetsecret", "full", "--yes", "--wait")
	for _, client := range clusters {
		until(t, 3*time.Minute, noSecret(client, "full"))
	}
}

// sealedByHand is what age alone seals.
func sealedByHand(t *testing.T, recipient, line string, content any) []byte {
	t.Helper()
	to, err := age.ParseRecipients(strings.NewReader(recipient))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(append([]byte(line), text...)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
