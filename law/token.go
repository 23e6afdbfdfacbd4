package law

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// KeyTokens is where the log keeps join tokens: /tokens/<token id> → Token, as JSON.
const KeyTokens = "/tokens/"

// spentTokenKept is how long after its end a token is remembered, to say why it no longer works.
const spentTokenKept = 24 * time.Hour

// Terms are what an admin fixes about the cluster that a token lets in; what is empty, the joiner says.
type Terms struct {
	Cluster string            `json:"cluster,omitempty"`
	Region  string            `json:"region,omitempty"`
	Zone    string            `json:"zone,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Voting  v1alpha1.Voting   `json:"voting,omitempty"`
	Rights  v1alpha1.Rights   `json:"rights,omitempty"`
	// Replace lets a new incarnation take the place of Cluster's member, whose disk is lost. All else stays as it is.
	Replace bool `json:"replace,omitempty"`
}

// Token is a join token in the log: never its seed, only the public key, which is its id.
type Token struct {
	Terms
	Expires time.Time `json:"expires"`
	Spent   *Spending `json:"spent,omitempty"`
}

// Spending says whom a token let in.
type Spending struct {
	Cluster string    `json:"cluster"`
	Pin     string    `json:"pin"`
	At      time.Time `json:"at"`
}

// Validate refuses terms that no cluster could have.
func (t Terms) Validate() error {
	for _, f := range []struct{ field, name string }{{"cluster", t.Cluster}, {"region", t.Region}, {"zone", t.Zone}} {
		if problems := validation.IsDNS1123Label(f.name); f.name != "" && len(problems) > 0 {
			return fmt.Errorf("%s %q: %s", f.field, f.name, problems[0])
		}
	}
	for k, v := range t.Labels {
		if problems := append(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)...); len(problems) > 0 {
			return fmt.Errorf("label %s=%s: %s", k, v, problems[0])
		}
	}
	if t.Replace && (t.Cluster == "" || t.Region+t.Zone+string(t.Voting)+string(t.Rights) != "" || len(t.Labels) > 0) {
		return errors.New("a token that replaces a member names its cluster and nothing else: region, labels, rights and whether it votes stay as they are")
	}
	switch t.Voting {
	case "", v1alpha1.VotingEligible, v1alpha1.VotingNever:
	default:
		return fmt.Errorf("voting %q: must be Eligible or Never", t.Voting)
	}
	switch t.Rights {
	case "", v1alpha1.RightsAdmin, v1alpha1.RightsOwnObjects, v1alpha1.RightsReadOnly:
	default:
		return fmt.Errorf("rights %q: must be Admin, OwnObjects or ReadOnly", t.Rights)
	}
	return nil
}

// Settle fills what the token left open with what the joiner says; a joiner that contradicts the token is refused.
func (t Terms) Settle(joiner Terms) (Terms, error) {
	for _, f := range []struct {
		name, asked, flag string
		fixed             *string
	}{
		{"cluster", joiner.Cluster, "--cluster", &t.Cluster},
		{"region", joiner.Region, "--region", &t.Region},
		{"zone", joiner.Zone, "--zone", &t.Zone},
	} {
		switch {
		case *f.fixed == "":
			*f.fixed = f.asked
		case f.asked != "" && f.asked != *f.fixed:
			return t, fmt.Errorf("the token is for %s %s, not %s; join with %s %s", f.name, *f.fixed, f.asked, f.flag, *f.fixed)
		}
	}
	if t.Cluster == "" || t.Region == "" {
		return t, errors.New("neither the token nor the joiner says cluster and region; join with --cluster and --region")
	}
	t.Replace = false // it is done by who settles
	if t.Voting == "" {
		t.Voting = v1alpha1.VotingEligible
	}
	if t.Rights == "" {
		t.Rights = v1alpha1.RightsOwnObjects
		if t.Voting == v1alpha1.VotingEligible {
			t.Rights = v1alpha1.RightsAdmin
		}
	}
	return t, t.Validate()
}

// Usable says why a token lets nobody in any more, or nil.
func (t Token) Usable(now time.Time) error {
	switch {
	case t.Spent != nil:
		return fmt.Errorf("token spent: it joined %s %s ago; make another on any member: hanse token create", t.Spent.Cluster, span(now.Sub(t.Spent.At)))
	case now.After(t.Expires):
		return fmt.Errorf("token expired %s ago; make another on any member: hanse token create", span(now.Sub(t.Expires)))
	}
	return nil
}

// Forgotten says that a token ended so long ago that nobody need be told why any more.
func (t Token) Forgotten(now time.Time) bool { return now.Sub(t.Expires) > spentTokenKept }

// span says a time roughly, for people.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d s", max(0, d/time.Second))
}
