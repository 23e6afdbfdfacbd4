package apiserver

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/secrets"
)

func ageFile(t *testing.T, to ...age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsNoSealedSecretIsRefused(t *testing.T) {
	id, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	good, err := secrets.Seal(id.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, map[string][]byte{"password": []byte("canary-4711")})
	if err != nil {
		t.Fatal(err)
	}
	x, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	one, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	var armored bytes.Buffer
	w := armor.NewWriter(&armored)
	if _, err := w.Write(good); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data := func(b []byte) func(*v1alpha1.FleetSecret) {
		return func(s *v1alpha1.FleetSecret) { s.Spec.Data = b }
	}
	also := func(all ...v1alpha1.FurtherSecret) func(*v1alpha1.FleetSecret) {
		return func(s *v1alpha1.FleetSecret) { s.Spec.Also = all }
	}
	turned := slices.Clone(good)
	turned[3] ^= 1
	for name, tt := range map[string]struct {
		change func(*v1alpha1.FleetSecret)
		why    string
	}{
		"as hanse seals it":    {func(*v1alpha1.FleetSecret) {}, ""},
		"plain":                {data([]byte("canary-4711")), "spec.data: Invalid value: it is no age file"},
		"nothing":              {data(nil), "spec.data: Invalid value: it is empty"},
		"its first bytes":      {data(good[:100]), "spec.data: Invalid value: it is no age file"},
		"a bit turned":         {data(turned), "spec.data: Invalid value: it is no age file"},
		"armored":              {data(armored.Bytes()), "armored"},
		"too much":             {data(append(slices.Clone(good), make([]byte, secrets.MaxSealed)...)), "more than the limit of"},
		"not post-quantum":     {data(ageFile(t, x.Recipient())), "alone, which begins with age1pq1"},
		"for two":              {data(ageFile(t, one.Recipient(), one.Recipient())), "alone, which begins with age1pq1"},
		"no group":             {func(s *v1alpha1.FleetSecret) { s.Spec.Group = "" }, "spec.group"},
		"a group with a slash": {func(s *v1alpha1.FleetSecret) { s.Spec.Group = "../clusters" }, "spec.group"},
		"a namespace":          {func(s *v1alpha1.FleetSecret) { s.Spec.Namespace = "a.b" }, "spec.namespace"},
		"Hanse's namespace":    {func(s *v1alpha1.FleetSecret) { s.Spec.Namespace = v1alpha1.MemberNamespace }, "spec.namespace: Forbidden"},
		"what it takes over":   {func(s *v1alpha1.FleetSecret) { s.Spec.Adopt = "Sometimes" }, "spec.adopt"},
		"a Secret's name":      {func(s *v1alpha1.FleetSecret) { s.Spec.SecretName = "DB" }, "spec.secretName"},
		"several":              {also(v1alpha1.FurtherSecret{Namespace: "crm", Name: "api", Template: map[string]string{"a": "${b}"}}), ""},
		"itself again":         {also(v1alpha1.FurtherSecret{Namespace: "shop", Name: "db"}), `spec.also[0]: Duplicate value: "shop/db"`},
		"one twice":            {also(v1alpha1.FurtherSecret{Namespace: "a", Name: "b"}, v1alpha1.FurtherSecret{Namespace: "a", Name: "b"}), "spec.also[1]: Duplicate"},
		"too many":             {also(make([]v1alpha1.FurtherSecret, v1alpha1.MaxFurtherSecrets+1)...), "spec.also: Too many"},
		"no further name":      {also(v1alpha1.FurtherSecret{Namespace: "a"}), "spec.also[0].name"},
		"no further namespace": {also(v1alpha1.FurtherSecret{Name: "a"}), "spec.also[0].namespace"},
		"Hanse's, further":     {also(v1alpha1.FurtherSecret{Namespace: v1alpha1.MemberNamespace, Name: "a"}), "spec.also[0].namespace: Forbidden"},
		"a template":           {func(s *v1alpha1.FleetSecret) { s.Spec.Template = map[string]string{"a": "${b"} }, "spec.template[a]: Invalid value: a ${ has no }"},
		"a further template":   {also(v1alpha1.FurtherSecret{Namespace: "a", Name: "b", Template: map[string]string{"c": "${upper(d)}"}}), "spec.also[0].template[c]: Invalid value: ${upper(d)}: there is no upper"},
		"a template's key":     {func(s *v1alpha1.FleetSecret) { s.Spec.Template = map[string]string{"a b": ""} }, "spec.template[a b]"},
		"a long template": {func(s *v1alpha1.FleetSecret) {
			s.Spec.Template = map[string]string{"a": strings.Repeat("a", secrets.MaxTemplate)}
		}, "spec.template: Too long"},
		"a name":      {func(s *v1alpha1.FleetSecret) { s.Name = "d_b" }, "metadata.name"},
		"a long name": {func(s *v1alpha1.FleetSecret) { s.Name = strings.Repeat("a", 60) }, "metadata.name: Too long"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &v1alpha1.FleetSecret{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: v1alpha1.FleetSecretSpec{Group: "readers", Namespace: "shop", Data: good}}
			tt.change(s)
			told := ""
			if errs := validateSecret(s); len(errs) > 0 {
				told = errs.ToAggregate().Error()
			}
			if (tt.why == "") != (told == "") || !strings.Contains(told, tt.why) {
				t.Errorf("it says %q", told)
			}
			if strings.Contains(told, "canary") {
				t.Errorf("it tells the value: %s", told)
			}
		})
	}
}

func TestWhatIsNoGroupIsRefused(t *testing.T) {
	id, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	everybody := &metav1.LabelSelector{}
	good := id.Recipient().String()
	for name, tt := range map[string]struct {
		selector   *metav1.LabelSelector
		recipients []string
		why        string
	}{
		"everybody, and a person": {everybody, []string{good}, ""},
		"nobody":                  {nil, nil, "spec.clusterSelector: Required value: say which clusters can read"},
		"an operator":             {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Likes"}}}, nil, "spec.clusterSelector"},
		"a label":                 {&metav1.LabelSelector{MatchLabels: map[string]string{"a b": "c"}}, nil, "spec.clusterSelector"},
		"a private key":           {everybody, []string{id.Reveal()}, "spec.recoveryRecipients[0]: Invalid value: that is a secret key"},
		"of X25519":               {everybody, []string{good, "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"}, "spec.recoveryRecipients[1]: Invalid value: that recipient is not safe from quantum"},
		"of a plugin":             {everybody, []string{"age1yubikey1qwertyuiop"}, "needs a plugin"},
		"of SSH":                  {everybody, []string{"ssh-ed25519 AAAA anna"}, "not safe from quantum"},
		"empty":                   {everybody, []string{""}, "there is no recipient"},
		"a letter less":           {everybody, []string{good[:len(good)-1]}, "damaged"},
		"with a line break":       {everybody, []string{good + "\n"}, "no space around it"},
		"too many":                {everybody, slices.Repeat([]string{good}, v1alpha1.MaxRecoveryRecipients+1), "spec.recoveryRecipients: Too many"},
	} {
		t.Run(name, func(t *testing.T) {
			told := ""
			g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}, Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: tt.selector, RecoveryRecipients: tt.recipients}}
			if errs := validateGroup(g); len(errs) > 0 {
				told = errs.ToAggregate().Error()
			}
			if (tt.why == "") != (told == "") || !strings.Contains(told, tt.why) {
				t.Errorf("it says %q", told)
			}
			if strings.Contains(told, id.Reveal()) {
				t.Error("it tells the key")
			}
			if tt.selector != everybody {
				return
			}
			f := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Spec: v1alpha1.FleetSpec{Voters: 3, RecoveryRecipients: tt.recipients}}
			of := ""
			if errs := fleetKind().validate("acme", f); len(errs) > 0 {
				of = errs.ToAggregate().Error()
			}
			if of != told {
				t.Errorf("of a fleet it says %q, of a group %q", of, told)
			}
		})
	}
}

// The holders of a group are those that the member knows to hold its key, which needs more than the group.
func TestTheHoldersOfAGroupAreAsTheMemberKnows(t *testing.T) {
	l := start(t, func(c *Config) {
		c.Holders = func(g *v1alpha1.RecipientGroup) []string { return []string{"fra of " + g.Name} }
	})
	l.put(t, v1alpha1.KeyRecipientGroups+"readers", v1alpha1.RecipientGroup{TypeMeta: v1alpha1.TypeOf("RecipientGroup"), ObjectMeta: metav1.ObjectMeta{Name: "readers", UID: "u-1"}})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://hanse/apis/"+v1alpha1.SchemeGroupVersion.String()+"/recipientgroups", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	answer, err := httpClient(t, l.local()).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(body), `"fra of readers"`) {
		t.Errorf("%s: %v", body, err)
	}
}

// Whatever people write of it, the note of when a secret was revealed is as it was: who was told is what hanse secret get says.
func TestNobodyWritesThatASecretWasRevealed(t *testing.T) {
	const note = v1alpha1.AnnotationRevealed
	type notes = map[string]string
	for name, tt := range map[string]struct{ was, written, want notes }{
		"never revealed":       {nil, notes{note: "1", "a": "b"}, notes{"a": "b"}},
		"another time":         {notes{note: "1"}, notes{note: "2", "a": "b"}, notes{note: "1", "a": "b"}},
		"taken off":            {notes{note: "1"}, nil, notes{note: "1"}},
		"nothing of the kind":  {nil, nil, nil},
		"as it is, and others": {notes{note: "1", "c": "d"}, notes{note: "1", "a": "b"}, notes{note: "1", "a": "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			old, s := &v1alpha1.FleetSecret{}, &v1alpha1.FleetSecret{}
			old.Annotations, s.Annotations = tt.was, maps.Clone(tt.written)
			if secretKind().keepStatus(s, old); !maps.Equal(s.Annotations, tt.want) {
				t.Errorf("it has %v", s.Annotations)
			}
		})
	}
	s := &v1alpha1.FleetSecret{}
	s.Annotations = notes{note: "1"}
	if secretKind().keepStatus(s, nil); len(s.Annotations) != 0 {
		t.Errorf("a new one has %v", s.Annotations)
	}
}
