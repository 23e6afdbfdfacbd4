package drill

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// flooded has one controller of fra begin more writes than its share, and end none, while somebody else writes. fra's
// kube-apiserver holds the flood back for nobody: it is of its masters.
func flooded(t *testing.T, f *field) {
	const many = 320 // more than hold seats and may wait for them
	config := f.aggregated(t, "fra")
	config.Impersonate = rest.ImpersonationConfig{UserName: "flooder", Groups: []string{"system:masters"}}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	bundles := f.cluster(t, "fra").Server() + "/apis/fleet.hanse.dev/v1alpha1/bundles"
	ctx, cancel := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	defer flood.Wait()
	defer cancel()
	var refused atomic.Int64
	var words atomic.Pointer[string]
	var open []*io.PipeWriter // bodies that are begun; nothing is ever written to them
	for range many {
		body, end := io.Pipe()
		open = append(open, end)
		context.AfterFunc(ctx, func() { end.Close() })
		flood.Go(func() {
			ask, err := http.NewRequestWithContext(ctx, http.MethodPost, bundles, body)
			if err != nil {
				return
			}
			ask.Header.Set("Content-Type", "application/json")
			answer, err := client.Do(ask)
			if err != nil {
				return // cut off at the end
			}
			defer answer.Body.Close()
			var said metav1.Status
			if json.NewDecoder(answer.Body).Decode(&said) == nil && answer.StatusCode == http.StatusTooManyRequests && answer.Header.Get("Retry-After") != "" {
				words.Store(&said.Message)
				refused.Add(1)
			}
		})
	}
	begun := time.Now()
	f.mustKubectl(t, "fra", "", "label", "bundle", "anywhere", "by=jane", "--overwrite", "--as=jane", "--as-group=system:masters")
	t.Logf("another's write takes %s meanwhile", round(time.Since(begun)))
	took := until(t, 3*time.Minute, func(context.Context) error { // a kube-apiserver passes no answer on before the body has ended
		if refused.Load() > 0 {
			return nil
		}
		if last := len(open) - 1; last >= 0 {
			open[last].Close()
			open = open[:last]
		}
		return errors.New("nobody is refused")
	})
	said := *words.Load()
	if !strings.Contains(said, "hanse:fra:flooder asks the member of fra for more at once than its share") {
		t.Errorf("it is told: %s", said)
	}
	t.Logf("after %s, %d bodies ended: %s", round(took), many-len(open), said)
}
