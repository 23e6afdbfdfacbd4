package backup

import (
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
)

func TestRecipients(t *testing.T) {
	quantum, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	classic := key(t).Recipient().String()
	pq := quantum.Recipient().String()
	for name, tt := range map[string]struct {
		texts []string
		want  string // of the error; empty: fine
	}{
		"of one kind":          {[]string{classic, classic}, ""},
		"of the other kind":    {[]string{pq}, ""},
		"of both kinds":        {[]string{classic, pq}, "cannot share one backup"},
		"none":                 {nil, "never written unencrypted"},
		"a secret key":         {[]string{goldenKey}, "that is a secret key"},
		"a name":               {[]string{"anna"}, `"anna" is no age recipient`},
		"two in one":           {[]string{classic + "\n" + classic}, "is no age recipient"},
		"a comment":            {[]string{"# nobody"}, "is no age recipient"},
		"an unfinished string": {[]string{classic[:30]}, "is no age recipient"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRecipients(tt.texts)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the secret is in %q", err)
			}
		})
	}
}

func TestRecipientsOfAFile(t *testing.T) {
	got, err := RecipientsIn(strings.NewReader("# who\n\n age1a \r\nage1b"))
	if diff := cmp.Diff([]string{"age1a", "age1b"}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestAFileThatIsTooLongIsNotReadInPart(t *testing.T) {
	if got, err := RecipientsIn(strings.NewReader("age1a\n" + strings.Repeat("#", maxRecipientsFile))); err == nil {
		t.Errorf("got %v", got)
	}
}
