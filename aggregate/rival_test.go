package aggregate

import (
	"encoding/base64"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestWhoHadTheRegistrationGivesWayForALife(t *testing.T) {
	const life = 5 * time.Minute
	begun := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	steps := []struct {
		what     string
		after    time.Duration
		others   bool
		giveWay  bool
		register bool // a round that does not give way registers it
	}{
		{"one that has just started takes it over", 0, true, false, true},
		{"and keeps it", time.Second, false, false, true},
		{"until the other takes it over", 2 * time.Second, true, true, false},
		{"which lasts", 2*time.Second + life - 1, true, true, false},
		{"for a life", 2*time.Second + life, true, false, true},
		{"and again", 2*time.Second + life + time.Second, true, true, false},
		{"or until it is gone", 2*time.Second + life + 2*time.Second, false, false, true},
		{"from when on it counts anew", 3*time.Second + 2*life, true, true, false},
	}
	var r rival
	for _, s := range steps {
		next, giveWay := r.meets(s.others, begun.Add(s.after), life)
		if giveWay != s.giveWay {
			t.Errorf("%s: gives way: %v", s.what, giveWay)
		}
		if r = next; s.register {
			r = rival{had: true}
		}
	}
}

func TestARegistrationIsARivalsByItsKey(t *testing.T) {
	mine, others := served(t, newKey(t)), served(t, newKey(t))
	stranger, err := newServing(newKey(t), "acme/iad")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		owner  string
		bundle []byte
		rivals bool
	}{
		"my own":                     {"acme/fra", mine.bundle, false},
		"another incarnation's":      {"acme/fra", others.bundle, true},
		"of both keys":               {"acme/fra", append(append([]byte{}, others.bundle...), mine.bundle...), false},
		"another member's":           {"acme/iad", others.bundle, false},
		"another's name in mine":     {"acme/fra", stranger.bundle, false},
		"without a bundle":           {"acme/fra", nil, false},
		"what is no certificate":     {"acme/fra", []byte("x"), false},
		"a certificate that is none": {"acme/fra", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), false},
	} {
		t.Run(name, func(t *testing.T) {
			found := registration(backend{}, tt.owner, tt.bundle).wanted
			found.Object["spec"].(map[string]any)["caBundle"] = base64.StdEncoding.EncodeToString(tt.bundle)
			if is := ofAnotherKey(&unstructured.Unstructured{Object: found.Object}, "acme/fra", mine.Leaf); is != tt.rivals {
				t.Errorf("a rival's: %v", is)
			}
		})
	}
}
